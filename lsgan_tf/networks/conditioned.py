"""Networks that may be conditioned on labels, in the authors' way (ICCV 2017).

A linear map of the label joins the latents in G, and the input of the second convolution and of
the last layer in D. With no classes they are ordinary networks.
"""

from keras import ops

from lsgan_tf.networks.base import Discriminator, Generator
from lsgan_tf.networks.layers import LabelMap, concatenate_label


class LabelledGenerator(Generator):
    """A generator whose layers are `self.body`, from latents (and mapped labels) to images."""

    def __init__(self, latent_dim, image_shape, num_classes, label_units, name=None):
        super().__init__(latent_dim, image_shape, num_classes, name)
        self.label_map = LabelMap(num_classes, label_units) if num_classes else None

    def call(self, latents, labels=None, training=False):
        if self.label_map:
            latents = concatenate_label(latents, self.label_map(labels))
        return self.body(latents, training=training)


class LabelledDiscriminator(Discriminator):
    """A discriminator whose layers are `self.first`, `self.body` (ending flat), `self.score`."""

    def __init__(self, image_shape, num_classes, label_units, name=None):
        super().__init__(image_shape, num_classes, name)
        self.label_map = LabelMap(num_classes, label_units) if num_classes else None

    def call(self, images, labels=None, training=False):
        features = self.first(images, training=training)
        if self.label_map:
            label = self.label_map(labels)
            features = self.body(concatenate_label(features, label), training=training)
            features = concatenate_label(features, label)
        else:
            features = self.body(features, training=training)
        return self.score(ops.cast(features, self.score.compute_dtype))
