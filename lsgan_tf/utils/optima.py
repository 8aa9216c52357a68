"""Both losses when the generator has won: the lines to hold loss curves against.

That is p_g = p_data under the optimal discriminator, without a penalty. Plain Python: the
objectives and the page of a run share it.
"""

import math
from typing import NamedTuple


class Losses(NamedTuple):
    """Two loss values; None stands for one that the theory leaves open."""

    discriminator: float | None
    generator: float | None


def least_squares(a: float, b: float, c: float) -> Losses:
    """D* = (a + b) / 2 everywhere, so L_D = (b - a)^2 / 4 and L_G = (D* - c)^2 / 2."""
    apart, off = b - a, (a + b) / 2 - c
    return Losses(apart * apart / 4, off * off / 2)


def cross_entropy(*, saturating: bool) -> Losses:
    """D* = 1/2, a logit of zero: L_D = log 4 and L_G = log 2, or -log 2 if saturating."""
    return Losses(math.log(4), -math.log(2) if saturating else math.log(2))


def wasserstein() -> Losses:
    """L_D = 0; L_G is open, since a constant added to D changes L_G and nothing else."""
    return Losses(0.0, None)
