"""Gradient penalties on the discriminator: weight * mean (|dD/dx_hat| - target)^2, and R1.

They differ in the points x_hat at which the gradient is taken. Its L2 norm is over all numbers of
an example; the mean is over examples. Weights are for losses that are means over the batch, as all
objectives here are. Where images are augmented, x and G(z) are the augmented ones: a penalty is on
D where D looks.

A penalty treats every example by itself, so D has to as well: with batch norm, dD(x)/dx would
depend on the rest of the batch. Use layer norm, or none.
"""

import dataclasses
from typing import Protocol

import keras
import tensorflow as tf
from keras import ops

from lsgan_tf.gan.objectives import Serializable
from lsgan_tf.networks import normalization


class NotPenalisable(ValueError):
    """A gradient penalty on a discriminator with batch norm, or with many logits for an image."""


def check_penalised(discriminator: keras.Model) -> None:
    """Checks that a gradient penalty may be put on D.

    Raises:
        NotPenalisable: if it has batch norm.
    """
    if normalization.has_batch_norm(discriminator):
        raise NotPenalisable(
            "A gradient penalty takes the gradient of D at each example by itself, and "
            f"{type(discriminator).__name__} has batch norm, which mixes the examples of a "
            "batch. Take a discriminator with layer norm or with none."
        )


class Penalty(Protocol):
    """What `lsgan_tf.gan.model.GAN` asks of a penalty."""

    def points(self, real, fake, uniform):
        """Chooses where the gradient of D is taken.

        Args:
            real, fake: examples [N, ...], real and generated.
            uniform: a function; each call with a shape [N, ...] draws anew from [0, 1), up to 8
                times.

        Returns:
            Points of the shape of `real`.
        """

    def cost(self, squares):
        """Computes the penalty, a scalar, from the squared L2 norms [N] of D's gradients."""


class _ToTarget(Serializable):
    """A penalty on how far the slope of D is from `target`."""

    def cost(self, squares):
        return self.weight * ops.mean(ops.square(_root(squares) - self.target))


@keras.saving.register_keras_serializable("lsgan_tf")
@dataclasses.dataclass(frozen=True)
class AroundData(_ToTarget):
    """LSGANs-GP (Mao et al., PAMI 2019): around the real examples alone.

        x_hat = x + alpha * width * u,    alpha ~ U(0, 1) per example, u ~ U(0, 1) per number of it

    After the authors' code, which draws alpha in every step but u once for the whole run, since it
    is drawn while the graph is built; here u is drawn in every step as well.

    Args:
        weight: lambda. The authors' 150 goes with losses summed over a batch of 64: 150 / 64 here.
        width: c, the largest noise.
        target: k, the gradient norm that costs nothing.
    """

    weight: float = 150 / 64
    width: float = 30.0
    target: float = 1.0

    def points(self, real, fake, uniform):
        alpha = uniform(_shape_of_one_per_example(real))
        return real + alpha * self.width * uniform(ops.shape(real))


@keras.saving.register_keras_serializable("lsgan_tf")
@dataclasses.dataclass(frozen=True)
class DRAGAN(_ToTarget):
    """Around the real examples, in proportion to their spread (Kodali et al., 2017).

        x_hat = x + alpha * width * std(x) * u,    alpha ~ U(0, 1) per example,
                                                   u ~ U(0, 1) per number of it

    std(x) is one number, over all numbers of the global batch.
    """

    weight: float = 10.0
    width: float = 0.5
    target: float = 1.0

    def points(self, real, fake, uniform):
        alpha = uniform(_shape_of_one_per_example(real))
        return real + alpha * self.width * _measure_spread(real) * uniform(ops.shape(real))


@keras.saving.register_keras_serializable("lsgan_tf")
@dataclasses.dataclass(frozen=True)
class Interpolates(_ToTarget):
    """Between the real and the generated examples (WGAN-GP; Gulrajani et al., 2017).

    x_hat = x + alpha * (G(z) - x),    alpha ~ U(0, 1) per example
    """

    weight: float = 10.0
    target: float = 1.0

    def points(self, real, fake, uniform):
        return real + uniform(_shape_of_one_per_example(real)) * (fake - real)


@keras.saving.register_keras_serializable("lsgan_tf")
@dataclasses.dataclass(frozen=True)
class R1(Serializable):
    """At the real examples (Mescheder et al., 2018, equation 9): weight / 2 * mean |dD/dx|^2.

    Args:
        weight: gamma.
    """

    weight: float = 10.0

    def points(self, real, fake, uniform):
        return real

    def cost(self, squares):
        return 0.5 * self.weight * ops.mean(squares)


def compute(penalty: Penalty, discriminator, points) -> tf.Tensor:
    """Computes the penalty, a scalar tensor.

    Args:
        penalty: a `Penalty`.
        discriminator: a function from examples [N, ...] to logits [N] or [N, 1]; each logit may
            depend on its own example alone.
        points: those of `Penalty.points`.

    Raises:
        NotPenalisable: if there are several logits for an example.
    """
    return penalty.cost(compute_gradient_squares(discriminator, points))


def compute_gradient_squares(discriminator, points) -> tf.Tensor:
    """Computes the squared L2 norm [N] of the gradient of each logit over its point, [N, ...].

    Raises:
        NotPenalisable: if D returns several logits for a point: this would be of their sum.
    """
    points = tf.convert_to_tensor(points)  # a batch may be an array
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(points)
        logits = discriminator(points)
    if logits.shape.rank and any(side not in (None, 1) for side in logits.shape[1:]):
        raise NotPenalisable(
            f"A penalty takes the gradient of one logit for each image, [N] or [N, 1], and D "
            f"returns {tuple(logits.shape)}. End D with Flatten() and Dense(1), or with "
            "GlobalAveragePooling2D(), or leave the penalty out."
        )
    gradients = tape.gradient(logits, points)
    return ops.sum(ops.square(gradients), axis=tuple(range(1, len(points.shape))))


def _root(squares):
    # The root has no derivative at zero; there, and only there, take none.
    positive = squares > 0
    roots = ops.sqrt(ops.where(positive, squares, 1.0))
    return ops.where(positive, roots, 0.0)


def _shape_of_one_per_example(examples):
    return (ops.shape(examples)[0],) + (1,) * (len(examples.shape) - 1)


def _measure_spread(examples):
    """Standard deviation over all numbers of all replicas' examples."""
    context = tf.distribute.get_replica_context()
    moments = [ops.mean(examples), ops.mean(ops.square(examples))]
    if context is not None and context.num_replicas_in_sync > 1:
        moments = context.all_reduce(tf.distribute.ReduceOp.MEAN, moments)
    mean, mean_square = moments
    return ops.sqrt(ops.maximum(mean_square - ops.square(mean), 0.0))
