"""The scores of several runs side by side, as tables and as curves; without TensorFlow.

Only scores of one protocol compare: each protocol has a table of its own.
"""

import math
import os
from pathlib import Path
from typing import NamedTuple

from lsgan_tf.metrics.directions import BETTER
from lsgan_tf.runs import curves, score_log
from lsgan_tf.utils import files, text
from lsgan_tf.utils.errors import UserError

_DIGESTS = ("sha256", "fingerprint")  # of which a few digits do


class Row(NamedTuple):
    """One set of images that was scored."""

    run: str
    step: int | None  # None of real images
    what: str  # the weights, or which real images


class Table(NamedTuple):
    """All that was scored under one protocol."""

    heading: str  # the protocol, and in what it differs from those of the others
    rows: dict[Row, dict[str, score_log.Scored]]  # real images last

    @property
    def runs(self):
        """The names of the runs with checkpoints in it."""
        return {row.run for row in self.rows if row.step is not None}

    @property
    def columns(self):
        """{name: a score of that name}, in the order of `BETTER`."""
        found = {name: score for scores in self.rows.values() for name, score in scores.items()}
        known = [name for name in BETTER if name in found]
        return {name: found[name] for name in [*known, *sorted(found.keys() - set(known))]}

    def best(self, column):
        """The best finite value of the checkpoints, or None."""
        values = [
            scores[column.name].value
            for row, scores in self.rows.items()
            if row.step is not None and column.name in scores
        ]
        finite = [value * column.direction for value in values if math.isfinite(value)]
        return max(finite) * column.direction if finite and column.direction else None


def table(runs):
    """The scores of runs, a list of lines: a table for each protocol.

    Rows are in the order of the runs and their steps, then come the real images: the floor. The
    best value of each column is marked with *.

    Args:
      runs: a list of `Run`.

    Raises:
      UserError: one is no run, or has no scores.
    """
    names, compared = _compared(runs)
    lines = []
    for each in compared:
        lines += [each.heading, *text.aligned(_cells(each)), ""]
    if not any(each.runs == set(names) for each in compared):
        lines.append(
            "No protocol is shared by all runs: numbers of different tables do not compare. Score "
            "all runs with the same flags of python -m lsgan_tf.evaluate."
        )
    return lines if lines[-1] else lines[:-1]


def write_curves(runs, path):
    """Draws each score over the steps, under the protocol that most runs share; returns the path.

    Args:
      runs: a list of `Run`.
      path: the PNG to write.

    Raises:
      UserError: as `table` does, or the file cannot be written.
    """
    _, compared = _compared(runs)
    files.write_bytes(Path(path), curves.draw(compared[0]))
    return Path(path)


def _compared(runs):
    """(names of the runs, list of `Table`: those that most runs share first, then the largest)."""
    runs = list({os.path.abspath(run.directory): run for run in runs}.values())
    names = _names([run.directory for run in runs])
    found = {}  # {protocol: {row: {score: Scored}}}
    for name, run in zip(names, runs, strict=True):
        for score in _scores(run):
            row = Row(name, score.step, score.images if score.step is None else score.weights)
            found.setdefault(score.protocol, {}).setdefault(row, {})[score.name] = score
    differing = _differing(found)

    def position(row):
        return row.step is None, names.index(row.run), row.step or 0, row.what

    compared = [
        Table(_heading(protocol, differing), {row: rows[row] for row in sorted(rows, key=position)})
        for protocol, rows in found.items()
    ]
    return names, sorted(compared, key=lambda each: (-len(each.runs), -len(each.rows)))


def _scores(run):
    run.read()  # is it one?
    scores = score_log.scores(run)
    if all(score.step is None for score in scores):
        raise UserError(
            f"{run.directory} has no scores yet; "
            f"run python -m lsgan_tf.evaluate --run_dir={run.directory}"
        )
    return scores


def _names(directories):
    """The last parts of each path, as many as tell it from the others."""
    paths = [Path(os.path.abspath(directory)).parts for directory in directories]

    def shortest(path):
        for count in range(1, len(path)):
            if sum(other[-count:] == path[-count:] for other in paths) == 1:
                return path[-count:]
        return path

    return [os.path.join(*shortest(path)) for path in paths]


def _differing(protocols):
    """The names in `rest` that the protocols disagree on."""
    rests = [dict(protocol.rest) for protocol in protocols]
    names = {name for rest in rests for name in rest}
    return {name for name in names if len({rest.get(name) for rest in rests}) > 1}


def _heading(protocol, differing):
    rest = {name: value.strip('"') for name, value in protocol.rest if name in differing}
    told = (f"{name} {value[:12] if name in _DIGESTS else value}" for name, value in rest.items())
    return score_log.plain(", ".join([str(protocol), *told]))


def _cells(each):
    columns = each.columns.values()
    best = {column.name: each.best(column) for column in columns}

    def cell(row, score):
        if score is None:
            return "-"
        is_best = row.step is not None and score.value == best[score.name]
        return score.text + ("*" if is_best else "")

    rows = [("run", "step", "weights", *(column.heading for column in columns))]
    for row, scores in each.rows.items():
        step = "floor" if row.step is None else str(row.step)
        cells = (cell(row, scores.get(column.name)) for column in columns)
        rows.append((row.run, step, row.what, *cells))
    return [tuple(map(score_log.plain, row)) for row in rows]
