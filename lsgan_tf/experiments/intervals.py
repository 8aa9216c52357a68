"""95 % intervals of means and shares, and of their differences."""

import math
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


def of_difference(one: Estimate, other: Estimate) -> tuple[float, float] | None:
    """The interval of `one` minus `other`, of two means or of two shares.

    Of means it is Welch's, with the degrees of freedom rounded down; of shares Newcombe's (1998,
    method 10). None if one of them has no interval.
    """
    if one.interval is None or other.interval is None:
        return None
    gap = one.value - other.value
    if one.deviation is None:
        below = math.hypot(one.value - one.interval[0], other.interval[1] - other.value)
        above = math.hypot(one.interval[1] - one.value, other.value - other.interval[0])
        return gap - below, gap + above
    variances = [each.deviation**2 / each.count for each in (one, other)]
    if not any(variances):
        return gap, gap
    by_freedom = (
        variance**2 / (each.count - 1)
        for variance, each in zip(variances, (one, other), strict=True)
    )
    freedom = math.floor(sum(variances) ** 2 / sum(by_freedom) + 1e-9)  # a whole one, as it rounds
    half = t_quantile(freedom) * math.sqrt(sum(variances))
    return gap - half, gap + half


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
