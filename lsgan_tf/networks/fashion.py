"""The networks of a student report on LSGAN and Fashion-MNIST at New York University, 32x32x1.

After PyTorch code that appears to be the report's, by its networks, labels and FID procedure:
beelze-b/LSGAN-Implementation, `lsgan_implementation.py` and, for the deeper generator,
`lsgan_fid.py`. Unlike the papers' networks, the generators too have LeakyReLU, and the
discriminator can end in a sigmoid.

Batch norm, where there is any, has scales that start at normal(1, 0.02). Its moving variances are
those of the biased estimate, PyTorch's of the unbiased one. The original tensors are NCHW, these
are NHWC: between a linear layer and a map this permutes only the random weights.
"""

import keras
from keras import layers

from lsgan_tf.networks.base import Discriminator, Generator, fixed_pair
from lsgan_tf.networks.layers import (
    STDDEV,
    leaky_relu,
    tanh,
    torch_conv,
    torch_deconv,
    torch_linear,
)
from lsgan_tf.networks.normalization import BatchNormalization

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
    """The last layers of a generator: a convolution, and tanh in full precision."""
    return [*torch_conv(inputs, 1, 1, _normal()), tanh()]


@keras.saving.register_keras_serializable("lsgan_tf")
class FashionGenerator(Generator):
    """1024 normal latents -> 32x32x1 in (-1, 1); 8,618,753 trainable parameters without batch
    norm, 8,635,521 with it.

    Args:
        momentum: of batch norm, which then follows each hidden layer; None for no batch norm.
            PyTorch's momentum is one minus this.
    """

    latent_distribution = "normal"

    def __init__(self, momentum: float | None = None, name: str | None = None) -> None:
        super().__init__(LATENT_DIM, IMAGE_SHAPE, name=name)
        self.momentum = momentum
        self.body = keras.Sequential(
            [
                *(torch_linear(LATENT_DIM, 8 * 8 * 128), *_hidden(momentum)),
                layers.Reshape((8, 8, 128)),
                *(*torch_deconv(128, _normal()), *_hidden(momentum)),  # 16
                *(*torch_deconv(64, _normal()), *_hidden(momentum)),  # 32
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

    def __init__(self, momentum: float | None = 0.9, name: str | None = None) -> None:
        super().__init__(LATENT_DIM, IMAGE_SHAPE, name=name)
        self.momentum = momentum
        self.body = keras.Sequential(
            [
                *(torch_linear(LATENT_DIM, 2 * 2 * 128), leaky_relu()),
                layers.Reshape((2, 2, 128)),
                *(*torch_deconv(128, _normal()), *_hidden(momentum)),  # 4
                *(*torch_deconv(64, _normal()), *_hidden(momentum)),  # 8
                *(*torch_deconv(32, _normal()), *_hidden(momentum)),  # 16
                *(*torch_deconv(16, _normal()), *_hidden(momentum)),  # 32
                *_image(16),
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class FashionDiscriminator(Discriminator):
    """32x32x1 -> one logit; 24,321 trainable parameters without batch norm, 24,513 with it.

    Args:
        momentum: of batch norm, which then follows the second and third convolution; None for no
            batch norm.
        sigmoid: whether the logit passes through a sigmoid, as in the report. All other
            discriminators here, and the papers', are linear. This one is for least squares with
            labels (0, 1, 1) only: an output in (0, 1) cannot reach a label a = -1, and the cross
            entropies apply a sigmoid themselves.
    """

    def __init__(
        self, momentum: float | None = None, sigmoid: bool = False, name: str | None = None
    ) -> None:
        super().__init__(IMAGE_SHAPE, name=name)
        self.momentum = momentum
        self.sigmoid = sigmoid
        self.logit_range = (0.0, 1.0) if sigmoid else None
        self.body = keras.Sequential(
            [
                *(*torch_conv(1, 16, 2, _normal()), leaky_relu()),  # 16
                *(*torch_conv(16, 32, 2, _normal()), *_hidden(momentum)),  # 8
                *(*torch_conv(32, 64, 2, _normal()), *_hidden(momentum)),  # 4
                layers.Flatten(),
                torch_linear(4 * 4 * 64, 1, dtype=keras.config.floatx()),
                *([layers.Activation("sigmoid", dtype=keras.config.floatx())] if sigmoid else []),
            ]
        )
        self.build_variables()


def _pairs(name, make_generator, momentum, description):
    """The pairs NAME, with a linear D, and NAME_sigmoid."""

    def pair(sigmoid, remark):
        return fixed_pair(
            lambda: make_generator(momentum),
            lambda: FashionDiscriminator(momentum, sigmoid),
            IMAGE_SHAPE,
            f"32x32 grey, {description}{remark}",
        )

    return {
        name: pair(False, " (Fashion-MNIST report)"),
        f"{name}_sigmoid": pair(True, "; D ends in a sigmoid, for (0, 1, 1) only"),
    }


PAIRS = {
    **_pairs("fashion", FashionGenerator, None, "no batch norm"),
    **_pairs("fashion_bn90", FashionGenerator, 0.9, "batch norm of momentum 0.9"),
    **_pairs("fashion_bn95", FashionGenerator, 0.95, "batch norm of momentum 0.95"),
    **_pairs("fashion_deep", DeepFashionGenerator, 0.9, "deeper G, batch norm of momentum 0.9"),
}
