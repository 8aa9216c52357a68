"""What the objectives come to when the discriminator is optimal: the papers' closed forms.

Two densities p (data) and q (generated) are given as arrays of their values at the same points,
of any one shape, and `weights`, a number or an array, that turn a sum over the points into an
integral: 1 on a finite set, the quadrature weights (the step of a grid) otherwise. All results are
float64. Sections and equations are those of the ICCV 2017 paper unless they name another; "derived
here" marks what no paper states. a, b and c are the labels of `objectives.LeastSquares`.
"""

import math

import numpy as np


def optimal_discriminator(p, q, a, b):
    """D* = (b p + a q) / (p + q), the D of least loss for a fixed G (section 3.2.3).

    With a = 0, b = 1 this is also the probability s(D*) of the regular GAN. p and q are values
    here, of any sum. Where both are zero every score is optimal; the undecided (a + b) / 2 stands
    there.
    """
    p, q = _values(p, q)
    share = _ratio(p, p + q, where_none=0.5)
    return b * share + a * (1 - share)


def discriminator_loss(scores, p, q, a, b, weights=1.0):
    """L_D = 1/2 E_p[(D - b)^2] + 1/2 E_q[(D - a)^2] of any D, given as its score at each point."""
    p, q, weights = _densities(p, q, weights)
    return float(np.sum(weights * (p * (scores - b) ** 2 + q * (scores - a) ** 2)) / 2)


def delta(p, q, weights=1.0):
    """The integral of (p - q)^2 / (p + q), what D can tell of the two: in [0, 2].

    0 if and only if p = q; 2 if and only if they share no point. All that least squares comes to
    under the optimal D is a function of this number and of the labels. It is an f-divergence, the
    integral of q f(p / q) with f(t) = (t - 1)^2 / (t + 1) (derived here).
    """
    p, q, weights = _densities(p, q, weights)
    return float(np.sum(weights * _ratio((p - q) ** 2, p + q)))


def pearson_chi_squared(first, second, weights=1.0):
    """The integral of (second - first)^2 / first; infinite where only `first` is zero.

    With b - c = 1 and b - a = 2 the generator minimises chi^2(p + q || 2 q) (section 3.2.3); of
    such sums of densities neither needs to integrate to 1. This is Pearson's with the measure that
    divides named first, as the paper has it.
    """
    first, second, weights = _values(first, second, weights)
    if np.any((first == 0) & (second > 0) & (weights > 0)):
        return math.inf
    return float(np.sum(weights * _ratio((second - first) ** 2, first)))


def extended_criterion(p, q, a, b, c, weights=1.0):
    """2 C(G) = E_p[(D* - c)^2] + E_q[(D* - c)^2], from its definition (section 3.2.3).

    The first term holds nothing of G under a given D; the paper adds it for the sake of the proof.
    """
    p, q, weights = _densities(p, q, weights)
    scores = optimal_discriminator(p, q, a, b)
    return float(np.sum(weights * (p + q) * (scores - c) ** 2))


def extended_criterion_at(distance, a, b, c):
    """2 C(G) as a function of `distance`, the `delta` of the two densities (derived here).

        2 C(G) = 2 alpha^2 - 2 alpha beta + beta^2 (1/2 + distance / 4)
        alpha = b - c    beta = b - a

    (-1, 1, 0) gives the distance itself, (0, 1, 1) gives 1/2 + distance / 4: least at p = q for all
    labels.
    """
    alpha, beta = b - c, b - a
    return 2 * alpha**2 - 2 * alpha * beta + beta**2 * (0.5 + distance / 4)


def discriminator_loss_at(distance, a, b):
    """L_D of the optimal D as a function of `distance`, the `delta` of the two densities:
    (b - a)^2 / 4 (1 - distance / 2) (derived here)."""
    return (b - a) ** 2 / 4 * (1 - distance / 2)


def jensen_shannon(p, q, weights=1.0):
    """1/2 KL(p || m) + 1/2 KL(q || m) with m = (p + q) / 2, in nats: in [0, log 2]."""
    p, q, weights = _densities(p, q, weights)
    middle = (p + q) / 2
    terms = p * _log_ratio(p, middle) + q * _log_ratio(q, middle)
    return float(np.sum(weights * terms) / 2)


def regular_criterion(p, q, weights=1.0):
    """C(G) = E_p[log D*] + E_q[log(1 - D*)] with D* = p / (p + q), from its definition.

    It equals -log 4 + 2 JSD(p || q) (Goodfellow et al., 2014), and is minus the D loss of
    `objectives.SigmoidCrossEntropy` at the optimum.
    """
    p, q, weights = _densities(p, q, weights)
    terms = p * _log_ratio(p, p + q) + q * _log_ratio(q, p + q)
    return float(np.sum(weights * terms))


def _ratio(above, below, where_none=0.0):
    """above / below, with the limit that is wanted where below is zero."""
    positive = below > 0
    return np.where(positive, above / np.where(positive, below, 1.0), where_none)


def _log_ratio(above, below):
    """log(above / below), and 0 where above is zero: it is a factor of 0 log 0 = 0 there."""
    positive = above > 0
    return np.log(np.where(positive, above, 1.0) / np.where(positive, below, 1.0))


def _densities(*arrays):
    """The arrays in float64; p and q must integrate to 1, but for the error of a quadrature."""
    p, q, weights = _values(*arrays)
    for density in (p, q):
        np.testing.assert_allclose(np.sum(weights * density), 1.0, atol=1e-6)
    return p, q, weights


def _values(*arrays):
    return [np.asarray(values, np.float64) for values in arrays]
