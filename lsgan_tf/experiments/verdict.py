"""What the runs of a row say of its claim, by a stated rule.

The claim's expectations are tested one by one: an order of two cells holds if the 95 % interval of
their difference lies above zero, and is contradicted if it lies below; that cells learn holds if
the interval of the share of their runs that do lies above one half, and is contradicted if it lies
below. The claim is supported if all hold, contradicted if one is, else not decided.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from lsgan_tf.experiments import intervals
from lsgan_tf.experiments.intervals import Estimate
from lsgan_tf.experiments.results import Line
from lsgan_tf.experiments.row import Expectation, Row

SUPPORTED, CONTRADICTED, OPEN = "supported here", "contradicted here", "not decided here"
NOT_RUN, UNTESTED = "not run here", "tested by no run"


class Verdict(NamedTuple):
    """The word for a claim, and what it rests on."""

    word: str
    reasons: tuple[str, ...] = ()

    def __str__(self):
        if self.word == UNTESTED:
            return "No run tests the claim."
        why = f": {'; '.join(self.reasons)}" if self.reasons else ""
        return f"The claim is **{self.word}**{why}."


class Group(NamedTuple):
    """Runs that may be averaged: of one cell, one length and one protocol."""

    cell: str
    steps: int
    protocol: str  # as JSON
    score: str
    lines: tuple[Line, ...]

    def estimate(self, row: Row) -> Estimate:
        """What the row compares: the mean of the last or best scores, or the share of successes."""
        if row.value == "share":
            return intervals.of_share(sum(succeeds(row, one) for one in self.lines), self.count)
        return intervals.of_mean([getattr(one, row.value) for one in self.lines])

    @property
    def count(self) -> int:
        """How many runs."""
        return len(self.lines)


def succeeds(row: Row, line: Line) -> bool:
    """Whether a run reached the score that the row calls a success, or else did not collapse."""
    if row.success is None:
        return line.collapsed_at is None
    return row.direction * line.last >= row.direction * row.success


def groups(row: Row, lines: Sequence[Line]) -> list[Group]:
    """The runs of a row, in the order of its cells, the row's own length first."""
    found = {}
    for line in sorted(lines, key=lambda line: line.seed):
        if line.row == row.name:
            protocol = json.dumps(line.protocol, sort_keys=True)
            found.setdefault((line.cell, line.steps, protocol, line.score), []).append(line)
    order = [cell.name for cell in row.cells]
    made = [Group(*key, tuple(of)) for key, of in found.items() if key[0] in order]
    return sorted(made, key=lambda one: (order.index(one.cell), one.steps != row.steps, -one.steps))


def judge(row: Row, found: Sequence[Group]) -> Verdict:
    """Judges a claim by the runs of the row's own length."""
    if not row.expect:
        return Verdict(UNTESTED if not row.cells or found else NOT_RUN)
    own = [group for group in found if group.steps == row.steps]
    if not own:
        return Verdict(NOT_RUN)
    expected = {name for expectation in row.expect for name in expectation.cells}
    if len({group.protocol for group in own if group.cell in expected}) > 1:
        return Verdict(OPEN, ("its runs were scored by several protocols, which do not compare",))
    by_cell = {group.cell: group for group in own}
    judged = [_judge_one(row, by_cell, expectation) for expectation in row.expect]
    words = {word for word, _ in judged}
    word = CONTRADICTED if CONTRADICTED in words else OPEN if OPEN in words else SUPPORTED
    return Verdict(word, tuple(reason for _, reason in judged))


def _judge_one(row: Row, by_cell: dict[str, Group], expectation: Expectation) -> tuple[str, str]:
    missing = [name for name in expectation.cells if name not in by_cell]
    if missing:
        return OPEN, f"no run of {', '.join(missing)}"
    if expectation.learn:
        return _judge_learning(row, [by_cell[name] for name in expectation.learn])
    return _judge_order(row, *(by_cell[name] for name in expectation.cells))


def _judge_order(row, better, than):
    estimates = [group.estimate(row) for group in (better, than)]
    first = f"{better.cell} ({estimates[0].value:.3g})"
    second = f"{than.cell} ({estimates[1].value:.3g})"
    upwards = row.direction > 0 or row.value == "share"
    interval = intervals.of_difference(*(estimates if upwards else reversed(estimates)))
    if interval is None:
        return OPEN, f"one run of {first} or of {second} has no interval"
    low, high = interval
    if low > 0:
        return SUPPORTED, f"{first} is better than {second}, by {low:.2g} to {high:.2g}"
    if high < 0:
        return CONTRADICTED, f"{first} is worse than {second}, by {-high:.2g} to {-low:.2g}"
    return OPEN, f"{first} is not apart from {second}, better by {low:.2g} to {high:.2g}"


def _judge_learning(row, among):
    lines = [line for group in among for line in group.lines]
    share = intervals.of_share(sum(succeeds(row, line) for line in lines), len(lines))
    low, high = share.interval
    word = SUPPORTED if low > 0.5 else CONTRADICTED if high < 0.5 else OPEN
    did = "succeeded" if row.success is not None else "did not collapse"
    cells = ", ".join(group.cell for group in among)
    return word, (
        f"{round(share.value * share.count)} of {share.count} runs of {cells} {did} "
        f"({show_interval(share)})"
    )


def show_interval(estimate: Estimate) -> str:
    """The 95 % interval as text."""
    if estimate.interval is None:
        return "one run"
    return "{:.3g} to {:.3g}".format(*estimate.interval)
