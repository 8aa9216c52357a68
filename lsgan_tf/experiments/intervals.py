"""95 % intervals of means and shares."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Student's t at 0.975 for 1 to 9 degrees of freedom; beyond them its expansion in 1 / n is exact to
# three decimals.
_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)
_NORMAL = 1.959964


class Estimate(NamedTuple):
    """A mean or a share with its 95 % interval."""

    value: float
    deviation: float | None  # of single runs; None of a share, or of one run
    interval: tuple[float, float] | None  # None of the mean of one run
    count: int

    def above(self, other: "Estimate") -> bool:
        """Whether both have intervals and this one's lies above the other's as a whole."""
        if self.interval is None or other.interval is None:
            return False
        return self.interval[0] > other.interval[1]


def of_mean(values: Sequence[float]) -> Estimate:
    """The mean of one or more values, with Student's t interval."""
    count, mean = len(values), statistics.fmean(values)
    if count < 2:
        return Estimate(mean, None, None, count)
    deviation = statistics.stdev(values)
    half = t_quantile(count - 1) * deviation / count**0.5
    return Estimate(mean, deviation, (mean - half, mean + half), count)


def of_share(successes: int, count: int) -> Estimate:
    """A share of one or more runs, with Wilson's interval."""
    low, high = wilson_interval(successes, count)
    return Estimate(successes / count, None, (float(low), float(high)), count)


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % confidence interval of a probability (Wilson, 1927)."""
    middle = successes + 1.96**2 / 2
    half = 1.96 * (successes * (trials - successes) / trials + 1.96**2 / 4) ** 0.5
    return tuple(np.clip(np.array([middle - half, middle + half]) / (trials + 1.96**2), 0, 1))


def t_quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t distribution (Abramowitz and Stegun, 26.7.5)."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    z = _NORMAL
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))
