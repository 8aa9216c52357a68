"""Gradient penalties on the discriminator: weight * mean (|dD/dx_hat| - target)^2.

They differ in the points x_hat at which the slope is taken. One slope is the L2 norm over all
numbers of an image; the mean is over images. Weights are for losses that are means over the batch,
as all objectives here are.

A penalty couples no two images, so D may not either: with batch norm, dD(x)/dx would depend on the
rest of the batch. Use layer norm, or none.
"""

import dataclasses
from typing import Protocol

import keras
import tensorflow as tf
from keras import ops

from lsgan_tf.gan.objectives import Serializable


class Penalty(Protocol):
    """What `lsgan_tf.gan.model.GAN` asks of a penalty."""

    weight: float
    target: float

    def points(self, real, fake, uniform):
        """Where the slope of D is taken.

        Args:
          real, fake: images [N, ...], real and generated.
          uniform: a function; each call with a shape [N, ...] draws anew from [0, 1).

        Returns:
          Images of the shape of `real`.
        """


@keras.saving.register_keras_serializable("lsgan_tf")
@dataclasses.dataclass(frozen=True)
class AroundData(Serializable):
    """LSGANs-GP (Mao et al., PAMI 2019): around the real images alone.

        x_hat = x + alpha * width * u,    alpha ~ U(0, 1) an image, u ~ U(0, 1) a pixel

    After the authors' code, which draws alpha in every step but u once for the whole run, since it
    is drawn while the graph is built; here u is drawn in every step as well.

    Args:
      weight: lambda. The authors' 150 goes with losses summed over a batch of 64: 150 / 64 here.
      width: c, the reach of the noise.
      target: k, the slope that costs nothing.
    """

    weight: float = 150 / 64
    width: float = 30.0
    target: float = 1.0

    def points(self, real, fake, uniform):
        alpha = uniform(_one_per_image(real))
        return real + alpha * self.width * uniform(ops.shape(real))


@keras.saving.register_keras_serializable("lsgan_tf")
@dataclasses.dataclass(frozen=True)
class DRAGAN(Serializable):
    """Around the real images, in proportion to their spread (Kodali et al., 2017).

        x_hat = x + alpha * width * std(x) * u,    alpha ~ U(0, 1) an image, u ~ U(0, 1) a pixel

    std(x) is one number, over all pixels of the global batch.
    """

    weight: float = 10.0
    width: float = 0.5
    target: float = 1.0

    def points(self, real, fake, uniform):
        alpha = uniform(_one_per_image(real))
        return real + alpha * self.width * _spread(real) * uniform(ops.shape(real))


@keras.saving.register_keras_serializable("lsgan_tf")
@dataclasses.dataclass(frozen=True)
class Interpolates(Serializable):
    """Between the real and the generated images (WGAN-GP; Gulrajani et al., 2017).

    x_hat = x + alpha * (G(z) - x),    alpha ~ U(0, 1) an image
    """

    weight: float = 10.0
    target: float = 1.0

    def points(self, real, fake, uniform):
        return real + uniform(_one_per_image(real)) * (fake - real)


def value(penalty, discriminator, real, fake, uniform):
    """The penalty, a scalar tensor.

    Args:
      penalty: a `Penalty`.
      discriminator: a function from images to scores, one an image; each score may depend on its
        own image alone.
      real, fake, uniform: as in `Penalty.points`.
    """
    norms = slopes(discriminator, penalty.points(real, fake, uniform))
    return penalty.weight * ops.mean(ops.square(norms - penalty.target))


def slopes(discriminator, images):
    """L2 norm [N] of the gradient of each score over its image [N, ...]."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        scores = discriminator(images)
    gradients = tape.gradient(scores, images)
    squares = ops.sum(ops.square(gradients), axis=tuple(range(1, len(images.shape))))
    # The root has no derivative at zero; there, and only there, take none.
    positive = squares > 0
    roots = ops.sqrt(ops.where(positive, squares, 1.0))
    return ops.where(positive, roots, 0.0)


def _one_per_image(images):
    return (ops.shape(images)[0],) + (1,) * (len(images.shape) - 1)


def _spread(images):
    """Standard deviation over all numbers of all replicas' images."""
    context = tf.distribute.get_replica_context()
    moments = [ops.mean(images), ops.mean(ops.square(images))]
    if context is not None and context.num_replicas_in_sync > 1:
        moments = context.all_reduce(tf.distribute.ReduceOp.MEAN, moments)
    mean, mean_square = moments
    return ops.sqrt(ops.maximum(mean_square - ops.square(mean), 0.0))
