"""The 112-pixel scene networks (ICCV 2017, section 3.3; the authors' `vgg.py`).

A DCGAN pair whose generator has two extra stride-1 layers, after VGG.
"""

import keras
from keras import layers

from lsgan_tf.networks.base import Discriminator, Generator, Pair
from lsgan_tf.networks.layers import (
    conv,
    deconv,
    leaky_relu,
    linear,
    logit,
    norm_leaky_relu,
    norm_relu,
    tanh,
)

IMAGE_SHAPE = (112, 112, 3)


@keras.saving.register_keras_serializable("lsgan_tf")
class SceneGenerator(Generator):
    """1024 latents -> 112x112x3 in (-1, 1); 15,591,427 trainable parameters."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(latent_dim=1024, image_shape=IMAGE_SHAPE, name=name)
        self.body = keras.Sequential(
            [
                linear(7 * 7 * 256),
                layers.Reshape((7, 7, 256)),
                *norm_relu(),
                *(deconv(256, 3, strides=2), *norm_relu()),  # 14
                *(deconv(256, 3, strides=1), *norm_relu()),
                *(deconv(256, 3, strides=2), *norm_relu()),  # 28
                *(deconv(256, 3, strides=1), *norm_relu()),
                *(deconv(128, 3, strides=2), *norm_relu()),  # 56
                *(deconv(64, 3, strides=2), *norm_relu()),  # 112
                *(deconv(3, 3, strides=1), tanh()),
            ]
        )
        self.build_variables()


@keras.saving.register_keras_serializable("lsgan_tf")
class SceneDiscriminator(Discriminator):
    """112x112x3 -> one logit; 4,333,441 trainable parameters with batch norm.

    Args:
        norm: "batch", as the authors', or "layer" normalisation after the second to fourth
            convolution; "spectral" normalisation of all kernels; or "none".
    """

    def __init__(self, norm: str = "batch", name: str | None = None) -> None:
        super().__init__(image_shape=IMAGE_SHAPE, name=name)
        self.norm = norm
        spectral = norm == "spectral"
        self.body = keras.Sequential(
            [
                *(conv(64, spectral=spectral), leaky_relu()),  # 56
                *(conv(128, spectral=spectral), *norm_leaky_relu(norm)),  # 28
                *(conv(256, spectral=spectral), *norm_leaky_relu(norm)),  # 14
                *(conv(512, spectral=spectral), *norm_leaky_relu(norm)),  # 7
                layers.Flatten(),
                logit(spectral),
            ]
        )
        self.build_variables()


PAIRS = {
    "scene": Pair(
        lambda image_shape, num_classes, **norm: (SceneGenerator(), SceneDiscriminator(**norm)),
        IMAGE_SHAPE,
        "112x112 scenes, VGG-style (ICCV 2017)",
        options=("norm",),
    )
}
