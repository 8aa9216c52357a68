"""Two families of DCGAN: for square images of any side from 16 on, and the 64-pixel networks of
the stability comparison."""

import keras
from keras import layers

from lsgan_tf.networks.base import (
    Discriminator,
    Generator,
    LabelledDiscriminator,
    LabelledGenerator,
    Pair,
    fixed_pair,
)
from lsgan_tf.networks.layers import (
    STDDEV,
    conv,
    deconv,
    leaky_relu,
    linear,
    logit,
    norm_leaky_relu,
    tanh,
)
from lsgan_tf.networks.normalization import BatchNormalization

LABEL_UNITS = 256
SMALLEST_SIDE = 16
STABILITY_SHAPE = (64, 64, 3)


# Square images of any side from 16 on, with or without labels. At 128x128x3 these are the authors'
# cat networks (cats/arch.py; PAMI 2019), parameter for parameter, and with batch_norm=False their
# alternative without batch norm. Another side changes only the sizes of the maps: each of the four
# layers halves or doubles the side, rounded up, so that 28 pixels go 2 - 4 - 7 - 14 - 28.


def _check(image_shape):
    height, width, channels = image_shape
    if height != width or height < SMALLEST_SIDE or channels not in (1, 3):
        raise ValueError(
            "The dcgan networks take square images of 1 or 3 channels and a side of at least "
            f"{SMALLEST_SIDE}, not {height}x{width}x{channels}."
        )


def _sides(side):
    """The sides from the first map to the image, each half of the next one, rounded up."""
    return [-(-side // 2**halvings) for halvings in (4, 3, 2, 1, 0)]


def _deconv_to(side, filters):
    """A transposed convolution to `side`, which is twice its input's or, if odd, one less."""
    return deconv(filters, output_padding=0 if side % 2 else None)


def _batch_norm(wanted):
    """Batch norm or nothing, as a list of layers."""
    return [BatchNormalization()] if wanted else []


@keras.saving.register_keras_serializable("lsgan_tf")
class DCGANGenerator(LabelledGenerator):
    """Latents (and labels) -> square images in (-1, 1).

    Args:
        image_shape: (side, side, 1 or 3), the side at least 16.
        latent_dim: length of a latent vector.
        num_classes: number of labels to condition on, or 0.
        batch_norm: whether batch norm follows each hidden layer.
        base_channels: channels of the last map; each earlier one has twice as many.

    Raises:
        ValueError: if the image shape is another.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int = 100,
        num_classes: int = 0,
        batch_norm: bool = True,
        base_channels: int = 64,
        name: str | None = None,
    ) -> None:
        super().__init__(latent_dim, image_shape, num_classes, LABEL_UNITS, name)
        _check(image_shape)
        self.batch_norm = batch_norm
        self.base_channels = base_channels
        grid, second, third, fourth, side = _sides(image_shape[0])
        widest = base_channels * 8
        self.body = keras.Sequential(
            [
                *(linear(grid * grid * widest), *_batch_norm(batch_norm), layers.ReLU()),
                layers.Reshape((grid, grid, widest)),
                *(_deconv_to(second, base_channels * 4), *_batch_norm(batch_norm), layers.ReLU()),
                *(_deconv_to(third, base_channels * 2), *_batch_norm(batch_norm), layers.ReLU()),
                *(_deconv_to(fourth, base_channels), *_batch_norm(batch_norm), layers.ReLU()),
                *(_deconv_to(side, image_shape[-1]), tanh()),
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class DCGANDiscriminator(LabelledDiscriminator):
    """Square images (and labels) -> one logit each.

    Args:
        image_shape: (side, side, 1 or 3), the side at least 16.
        num_classes: number of labels to condition on, or 0.
        norm: "batch" or "layer" normalisation after the second to fourth convolution; "spectral"
            normalisation of all kernels; or "none".
        base_channels: channels of the first map; each later one has twice as many.

    Raises:
        ValueError: if the image shape or the norm is another.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        num_classes: int = 0,
        norm: str = "batch",
        base_channels: int = 64,
        name: str | None = None,
    ) -> None:
        super().__init__(image_shape, num_classes, LABEL_UNITS, name)
        _check(image_shape)
        self.norm = norm
        self.base_channels = base_channels
        spectral = norm == "spectral"
        self.first = keras.Sequential([conv(base_channels, spectral=spectral), leaky_relu()])
        self.body = keras.Sequential(
            [
                *(conv(base_channels * 2, spectral=spectral), *norm_leaky_relu(norm)),
                *(conv(base_channels * 4, spectral=spectral), *norm_leaky_relu(norm)),
                *(conv(base_channels * 8, spectral=spectral), *norm_leaky_relu(norm)),
                layers.Flatten(),
            ]
        )
        self.score = logit(spectral)
        self.build_variables()

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if "batch_norm" in config:  # a file of an earlier version, with that or none
            config["norm"] = "batch" if config.pop("batch_norm") else "none"
        return cls(**config)


# The stability comparison (ICCV 2017), after the authors' stability_comparison/*/dcgan64.py: a
# DCGAN with batch norm removed from G, or from both. Their repository has G only without batch
# norm. The `stability` pair, with batch norm in both networks, is in none of its folders: its G
# follows the DCGAN that theirs comes from, with a scale and an offset for each channel, after the
# reshape too.


def _early_batch_norm(wanted):
    """The authors' earlier batch norm, whose scales start at normal(1, 0.02), or nothing, as a list
    of layers."""
    # Made even where it is not used: an initialiser draws a seed when it is made, so without this
    # one the layers that follow would start from other weights.
    scales = keras.initializers.RandomNormal(mean=1.0, stddev=STDDEV)
    return [BatchNormalization(gamma_initializer=scales)] if wanted else []


@keras.saving.register_keras_serializable("lsgan_tf")
class StabilityGenerator(Generator):
    """1024 latents -> 64x64x3 in (-1, 1); 12,702,851 trainable parameters without batch norm.

    Args:
        batch_norm: whether batch norm follows each hidden layer; never so in the authors' code.
    """

    def __init__(self, batch_norm: bool = False, name: str | None = None) -> None:
        super().__init__(latent_dim=1024, image_shape=STABILITY_SHAPE, name=name)
        self.batch_norm = batch_norm
        self.body = keras.Sequential(
            [
                linear(4 * 4 * 512),
                layers.Reshape((4, 4, 512)),
                *(*_early_batch_norm(batch_norm), layers.ReLU()),
                *(deconv(256), *_early_batch_norm(batch_norm), layers.ReLU()),  # 8
                *(deconv(128), *_early_batch_norm(batch_norm), layers.ReLU()),  # 16
                *(deconv(64), *_early_batch_norm(batch_norm), layers.ReLU()),  # 32
                *(deconv(3), tanh()),  # 64
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class StabilityDiscriminator(Discriminator):
    """64x64x3 -> one logit; 4,316,545 trainable parameters with batch norm, 4,314,753 without.

    Args:
        batch_norm: whether batch norm follows the second to fourth convolution.
    """

    def __init__(self, batch_norm: bool = True, name: str | None = None) -> None:
        super().__init__(image_shape=STABILITY_SHAPE, name=name)
        self.batch_norm = batch_norm
        self.body = keras.Sequential(
            [
                *(conv(64), leaky_relu()),  # 32
                *(conv(128), *_early_batch_norm(batch_norm), leaky_relu()),  # 16
                *(conv(256), *_early_batch_norm(batch_norm), leaky_relu()),  # 8
                *(conv(512), *_early_batch_norm(batch_norm), leaky_relu()),  # 4
                layers.Flatten(),
                logit(),
            ]
        )
        self.build_variables()


def _pair(batch_norm, description):
    def make(image_shape, num_classes, norm="batch" if batch_norm else "none", **channels):
        return (
            DCGANGenerator(image_shape, num_classes=num_classes, batch_norm=batch_norm, **channels),
            DCGANDiscriminator(image_shape, num_classes=num_classes, norm=norm, **channels),
        )

    return Pair(make, None, description, conditional=True, options=("norm", "base_channels"))


def _stability_pair(generator_batch_norm, discriminator_batch_norm, description):
    return fixed_pair(
        lambda: StabilityGenerator(generator_batch_norm),
        lambda: StabilityDiscriminator(discriminator_batch_norm),
        STABILITY_SHAPE,
        f"64x64 DCGAN, {description} (ICCV 2017)",
    )


PAIRS = {
    "dcgan": _pair(True, "any square side from 16 on; 128 is the cats' (PAMI 2019)"),
    "dcgan_no_bn": _pair(False, "dcgan without batch norm"),
    "stability": _stability_pair(True, True, "batch norm in both"),
    "stability_bn_g": _stability_pair(False, True, "batch norm removed from G"),
    "stability_bn_gd": _stability_pair(False, False, "batch norm removed from G and D"),
}
