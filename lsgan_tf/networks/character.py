"""The conditional networks for handwritten characters (ICCV 2017; the authors' `mcgan.py`).

Each network has a linear map of the one-hot label to 256 numbers. They are concatenated to the
latents in G, and in D to the input of the second convolution and of both linear layers, not to the
image. D's convolutions have 1 + 256 and 64 + 256 channels for any number of classes, and G's first
batch norm has a scale and an offset for each of its 6272 units.

Parameters: G 8,460,161 and D 20,434,459, plus (num_classes + 1) * 256 in each for the label map:
9,417,857 and 21,392,155 with the paper's 3740 classes.
"""

import keras
from keras import layers, ops

from lsgan_tf.networks.base import LabelledDiscriminator, LabelledGenerator, Pair
from lsgan_tf.networks.layers import (
    concatenate_label,
    conv,
    deconv,
    leaky_relu,
    linear,
    logit,
    norm_leaky_relu,
    norm_relu,
    sigmoid,
)

IMAGE_SHAPE = (28, 28, 1)
LABEL_UNITS = 256


def _check(num_classes):
    if num_classes < 1:
        raise ValueError(
            f"The character networks are conditional: num_classes is {num_classes}, not 1 or more."
        )


@keras.saving.register_keras_serializable("lsgan_tf")
class CharacterGenerator(LabelledGenerator):
    """1024 latents and labels -> 28x28x1 in (0, 1).

    Args:
        num_classes: number of labels, at least 1.

    Raises:
        ValueError: without classes.
    """

    value_range = (0.0, 1.0)

    def __init__(self, num_classes: int, name: str | None = None) -> None:
        _check(num_classes)
        super().__init__(1024, IMAGE_SHAPE, num_classes, LABEL_UNITS, name)
        self.body = keras.Sequential(
            [
                *(linear(7 * 7 * 128), *norm_relu()),
                layers.Reshape((7, 7, 128)),
                *(deconv(128), *norm_relu()),  # 14
                deconv(1),  # 28
                sigmoid(),
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class CharacterDiscriminator(LabelledDiscriminator):
    """28x28x1 and labels -> one logit each.

    Args:
        num_classes: number of labels, at least 1.

    Raises:
        ValueError: without classes.
    """

    def __init__(self, num_classes: int, name: str | None = None) -> None:
        _check(num_classes)
        super().__init__(IMAGE_SHAPE, num_classes, LABEL_UNITS, name)
        self.first = keras.Sequential([conv(1 + LABEL_UNITS), leaky_relu()])  # 14
        self.second = keras.Sequential(
            [*(conv(64 + LABEL_UNITS), *norm_leaky_relu()), layers.Flatten()]  # 7
        )
        self.hidden = keras.Sequential([linear(1024), *norm_leaky_relu()])
        self.score = logit()  # saved files hold the layer by this name
        self.build_variables()

    def call(self, images, labels=None, training=False):
        label = self.label_map(labels)
        features = self.first(images, training=training)
        for block in (self.second, self.hidden):
            features = block(concatenate_label(features, label), training=training)
        features = concatenate_label(features, label)
        return self.score(ops.cast(features, self.score.compute_dtype))


PAIRS = {
    "character": Pair(
        lambda image_shape, num_classes: (
            CharacterGenerator(num_classes),
            CharacterDiscriminator(num_classes),
        ),
        IMAGE_SHAPE,
        "28x28 handwritten characters, by label (ICCV 2017)",
        conditional=True,
        needs_labels=True,
    )
}
