"""The networks of a student report on LSGAN and Fashion-MNIST at New York University, 32x32x1.

After code that by its networks, labels and FID procedure appears to be the report's
(beelze-b/LSGAN-Implementation, `lsgan_implementation.py` and, for the deeper generator,
`lsgan_fid.py`), which is PyTorch. Other than in the papers, the generators have LeakyReLU too, and
the discriminator may end in a sigmoid.

Batch norm, where there is any, has scales that start at normal(1, 0.02). Its moving variances are
of the biased estimate, PyTorch's are not. The original tensors are NCHW, these are NHWC: where a
linear layer meets a map, that permutes nothing but its random weights.
"""

import keras
from keras import layers

from lsgan_tf.networks import pytorch
from lsgan_tf.networks.base import Discriminator, Generator
from lsgan_tf.networks.layers import STDDEV, leaky_relu, tanh
from lsgan_tf.networks.normalization import BatchNormalization
from lsgan_tf.networks.pairs import Pair

IMAGE_SHAPE = (32, 32, 1)
LATENT_DIM = 1024


def _normal():
    return keras.initializers.RandomNormal(stddev=STDDEV)


def _hidden(momentum):
    """What follows a hidden layer: batch norm of this momentum, if any, and LeakyReLU."""
    if momentum is None:
        return [leaky_relu()]
    scales = keras.initializers.RandomNormal(mean=1.0, stddev=STDDEV)
    return [BatchNormalization(momentum=momentum, gamma_initializer=scales), leaky_relu()]


def _image(inputs):
    """The last convolution and tanh, in full precision."""
    return [*pytorch.conv(inputs, 1, 1, _normal()), tanh()]


@keras.saving.register_keras_serializable("lsgan_tf")
class FashionGenerator(Generator):
    """1024 normal latents -> 32x32x1 in (-1, 1); 8,618,753 trainable parameters without batch
    norm, 8,635,521 with it.

    Args:
      momentum: of batch norm, which then follows each hidden layer; None for no batch norm.
        PyTorch's momentum is one minus this.
    """

    latent_distribution = "normal"

    def __init__(self, momentum=None, name=None):
        super().__init__(LATENT_DIM, IMAGE_SHAPE, name=name)
        self.momentum = momentum
        self.body = keras.Sequential(
            [
                *(pytorch.linear(LATENT_DIM, 8 * 8 * 128), *_hidden(momentum)),
                layers.Reshape((8, 8, 128)),
                *(*pytorch.deconv(128, _normal()), *_hidden(momentum)),  # 16
                *(*pytorch.deconv(64, _normal()), *_hidden(momentum)),  # 32
                *_image(64),
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class DeepFashionGenerator(Generator):
    """1024 normal latents -> 32x32x1 in (-1, 1), through four transposed convolutions; 769,889
    trainable parameters. The LeakyReLU after the linear layer follows the code.

    Args:
      momentum: of batch norm, which follows each transposed convolution but not the linear layer;
        None for no batch norm.
    """

    latent_distribution = "normal"

    def __init__(self, momentum=0.9, name=None):
        super().__init__(LATENT_DIM, IMAGE_SHAPE, name=name)
        self.momentum = momentum
        self.body = keras.Sequential(
            [
                *(pytorch.linear(LATENT_DIM, 2 * 2 * 128), leaky_relu()),
                layers.Reshape((2, 2, 128)),
                *(*pytorch.deconv(128, _normal()), *_hidden(momentum)),  # 4
                *(*pytorch.deconv(64, _normal()), *_hidden(momentum)),  # 8
                *(*pytorch.deconv(32, _normal()), *_hidden(momentum)),  # 16
                *(*pytorch.deconv(16, _normal()), *_hidden(momentum)),  # 32
                *_image(16),
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class FashionDiscriminator(Discriminator):
    """32x32x1 -> one score; 24,321 trainable parameters without batch norm, 24,513 with it.

    Args:
      momentum: of batch norm, which then follows the second and third convolution; None for no
        batch norm.
      sigmoid: whether the score goes through a sigmoid, which breaks the promise of every other
        discriminator here that scores are linear. It is the report's way, for least squares with
        labels (0, 1, 1) only: a score in (0, 1) can never reach a label a = -1, and the cross
        entropies take scores before the sigmoid. The papers' discriminators are linear.
    """

    def __init__(self, momentum=None, sigmoid=False, name=None):
        super().__init__(IMAGE_SHAPE, name=name)
        self.momentum = momentum
        self.sigmoid = sigmoid
        self.score_range = (0.0, 1.0) if sigmoid else None
        last = keras.config.floatx()
        self.body = keras.Sequential(
            [
                *(*pytorch.conv(1, 16, 2, _normal()), leaky_relu()),  # 16
                *(*pytorch.conv(16, 32, 2, _normal()), *_hidden(momentum)),  # 8
                *(*pytorch.conv(32, 64, 2, _normal()), *_hidden(momentum)),  # 4
                layers.Flatten(),
                pytorch.linear(4 * 4 * 64, 1, dtype=last),
                *([layers.Activation("sigmoid", dtype=last)] if sigmoid else []),
            ]
        )
        self.build_variables()


def _pairs(name, make_generator, momentum, what):
    """The pair of this name with a linear D, and NAME_sigmoid."""

    def make(sigmoid):
        return lambda image_shape, num_classes: (
            make_generator(momentum),
            FashionDiscriminator(momentum, sigmoid),
        )

    return {
        name: Pair(make(False), IMAGE_SHAPE, f"32x32 grey, {what} (Fashion-MNIST report)"),
        f"{name}_sigmoid": Pair(
            make(True), IMAGE_SHAPE, f"32x32 grey, {what}; D ends in a sigmoid, for (0, 1, 1) only"
        ),
    }


PAIRS = {
    **_pairs("fashion", FashionGenerator, None, "no batch norm"),
    **_pairs("fashion_bn90", FashionGenerator, 0.9, "batch norm of momentum 0.9"),
    **_pairs("fashion_bn95", FashionGenerator, 0.95, "batch norm of momentum 0.95"),
    **_pairs("fashion_deep", DeepFashionGenerator, 0.9, "deeper G, batch norm of momentum 0.9"),
}
