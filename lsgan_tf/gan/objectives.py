"""What the discriminator and the generator minimise: pure functions of D's linear output.

Every objective has two methods over logits of any shape, one logit per example:
`discriminator(real, fake)` and `generator(fake)`. Both return scalars, means over the logits they
are given. `optimum()` gives both losses when the generator has won (p_g = p_data and D is
optimal), the line to hold a loss curve against.
"""

import dataclasses
import math
from typing import Protocol

import keras
from keras import ops

from lsgan_tf.utils import optima, settings
from lsgan_tf.utils.optima import Losses


class Objective(Protocol):
    """What `lsgan_tf.gan.model.GAN` asks of an objective."""

    def discriminator(self, real, fake):
        """D's loss, a scalar tensor, from its logits of real and of generated examples."""

    def generator(self, fake):
        """G's loss, a scalar tensor, from D's logits of generated examples."""

    def optimum(self) -> Losses:
        """Both losses at p_g = p_data under the optimal discriminator."""


class Serializable:
    """Lets Keras save a dataclass: its fields are its configuration."""

    def get_config(self):
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable("lsgan_tf")
@dataclasses.dataclass(frozen=True)
class LeastSquares(Serializable):
    """Least squares GAN (Mao et al., ICCV 2017).

        L_D = 1/2 E[(D(x) - b)^2] + 1/2 E[(D(G(z)) - a)^2]
        L_G = 1/2 E[(D(G(z)) - c)^2]

    With b - c = 1 and b - a = 2, for example (a, b, c) = (-1, 1, 0), the generator minimises a
    Pearson chi-squared divergence (section 3.2.3); (0, 1, 1) asks it to look as real as possible.

    The authors' code sums over a batch of 64 where the paper takes the mean: the same direction,
    64 times the length, which Adam does not notice.

    Args:
        a: D's target for generated examples.
        b: D's target for real examples.
        c: the value G wants D to give to generated examples.

    Raises:
        ValueError: if a equals b, since D then has nothing to tell apart, or if a label is not a
            finite number.
    """

    a: float = 0.0
    b: float = 1.0
    c: float = 1.0

    def __post_init__(self):
        for name, label in dataclasses.asdict(self).items():
            if not math.isfinite(label):
                raise ValueError(f"Label {name} is {label}; it must be a finite number.")
        settings.check_labels(self.a, self.b)

    def discriminator(self, real, fake):
        return 0.5 * ops.mean(ops.square(real - self.b)) + 0.5 * ops.mean(ops.square(fake - self.a))

    def generator(self, fake):
        return 0.5 * ops.mean(ops.square(fake - self.c))

    def optimum(self) -> Losses:
        return optima.least_squares(self.a, self.b, self.c)


PRESETS = {name: LeastSquares(*labels) for name, labels in settings.LABEL_PRESETS.items()}


@keras.saving.register_keras_serializable("lsgan_tf")
@dataclasses.dataclass(frozen=True)
class SigmoidCrossEntropy(Serializable):
    """The regular GAN (Goodfellow et al., 2014).

        L_D = E[-log s(D(x))] + E[-log(1 - s(D(G(z))))]
        L_G = E[-log s(D(G(z)))]            s = the logistic function
        L_G = E[log(1 - s(D(G(z))))]        if saturating

    -log s(t) = softplus(-t) and -log(1 - s(t)) = softplus(t), which never overflow.

    Args:
        saturating: whether G minimises what D maximises, the minimax game of the theory. Its
            gradient vanishes while D tells the generated examples apart, so training takes the
            other form.
    """

    saturating: bool = False

    def discriminator(self, real, fake):
        return ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))

    def generator(self, fake):
        if self.saturating:
            return -ops.mean(ops.softplus(fake))
        return ops.mean(ops.softplus(-fake))

    def optimum(self) -> Losses:
        return optima.cross_entropy(saturating=self.saturating)


@keras.saving.register_keras_serializable("lsgan_tf")
@dataclasses.dataclass(frozen=True)
class Wasserstein(Serializable):
    """Wasserstein GAN (Arjovsky et al., 2017): the negative of L_D estimates a distance.

        L_D = E[D(G(z))] - E[D(x)]
        L_G = -E[D(G(z))]

    Only for a D whose gradient is bounded, for example by `penalties.Interpolates` (WGAN-GP); L_D
    has no lower bound otherwise.
    """

    def discriminator(self, real, fake):
        return ops.mean(fake) - ops.mean(real)

    def generator(self, fake):
        return -ops.mean(fake)

    def optimum(self) -> Losses:
        return optima.wasserstein()


def fits(objective: Objective, logit_range: tuple[float, float] | None) -> bool:
    """Whether D's outputs, where they are bounded, reach the targets of an objective; of one that
    is not of this module, that is its author's affair."""
    if logit_range is None:
        return True
    low, high = logit_range
    if isinstance(objective, LeastSquares):
        return all(low <= label <= high for label in (objective.a, objective.b, objective.c))
    return not isinstance(objective, (SigmoidCrossEntropy, Wasserstein))  # their best has no bound
