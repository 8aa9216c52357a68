"""What every generator and every discriminator knows about itself."""

import inspect

import keras


class Network(keras.Model):
    """A model whose variables exist as soon as it does, so that optimizers and checkpoints see
    them. Subclasses make their layers in `__init__` and end it with `self.build_variables()`.

    Every constructor argument is kept as an attribute of the same name, which is all that
    `get_config` needs.

    Attributes:
      image_shape: shape of one example, (height, width, channels) of images.
      num_classes: number of labels the network is conditioned on, or 0.
    """

    def __init__(self, image_shape, num_classes=0, name=None):
        super().__init__(name=name)
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes

    def get_config(self):
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def _build_on(self, shape):
        inputs = [keras.Input(shape)]
        if self.num_classes:
            inputs.append(keras.Input((), dtype="int32"))
        self(*inputs)


class Generator(Network):
    """Latents [N, latent_dim] (and labels [N]) -> float32 images [N, H, W, C] in `value_range`.

    Attributes:
      latent_dim: length of a latent vector.
      latent_distribution: what it is trained on: "uniform" on [-1, 1) or "normal", N(0, I).
      value_range: (lowest, highest) pixel: (-1, 1) behind a tanh, (0, 1) behind a sigmoid. None
        where the examples are no images.

    A subclass sets `self.body`, the layers from latents to images, or overrides `call`.
    """

    latent_distribution = "uniform"
    value_range = (-1.0, 1.0)

    def __init__(self, latent_dim, image_shape, num_classes=0, name=None):
        super().__init__(image_shape, num_classes, name)
        self.latent_dim = latent_dim

    def build_variables(self):
        self._build_on((self.latent_dim,))

    def call(self, latents, training=False):
        return self.body(latents, training=training)


class Discriminator(Network):
    """Images [N, H, W, C] (and labels [N]) -> float32 linear scores [N, 1].

    Attributes:
      score_range: (lowest, highest) score, where something bounds them; None: linear scores.

    A subclass sets `self.body`, the layers from images to scores, or overrides `call`.
    """

    score_range = None

    def build_variables(self):
        self._build_on(self.image_shape)

    def call(self, images, training=False):
        return self.body(images, training=training)
