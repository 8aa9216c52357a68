"""Whether, and from which scored step on, a run is collapsed: by scores alone."""

from collections.abc import Mapping
from typing import Any

from lsgan_tf.experiments.row import Row


def first_step(
    row: Row, values: Mapping[int, float], scores: Mapping[int, Mapping[str, Any]] | None = None
) -> int | None:
    """The first of the steps at the end of a run that are all collapsed; None if the last is not.

    Args:
        row: whose rule decides.
        values: {step: the row's score}, in order.
        scores: {step: {name: an object with the `value` of a score}}, if the rule asks for others.
    """
    best = max(values.values(), key=lambda value: row.direction * value)
    first = None
    for step in reversed(list(values)):
        if not _is_collapsed(row, values[step], best, scores[step] if scores else {}):
            break
        first = step
    return first


def _is_collapsed(row, value, best, scores):
    rule = row.collapse
    if rule.ratio is not None and (value > best * rule.ratio or value * rule.ratio < best):
        return True
    if rule.beyond is not None and row.direction * value < row.direction * rule.beyond:
        return True
    if rule.classes is not None and scores["classes_covered"].value < rule.classes:
        return True
    return rule.repeats is not None and scores["repeats"].value > rule.repeats


def describe(row: Row) -> str:
    """The rule in words, as the end of a sentence; "" if there is none."""
    rule, worse = row.collapse, "below" if row.direction > 0 else "above"
    parts = []
    if rule.ratio is not None:
        parts.append(f"its score is worse than the run's best by a factor above {rule.ratio:g}")
    if rule.beyond is not None:
        parts.append(f"its score is {worse} {rule.beyond:g}")
    if rule.classes is not None:
        parts.append(f"its images are of fewer than {rule.classes} classes")
    if rule.repeats is not None:
        parts.append(f"more than {rule.repeats:.0%} of its images repeat one another")
    return " or ".join(parts)
