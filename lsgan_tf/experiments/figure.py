"""The figure of a row: its score over the steps of each run, and the last scores of each cell."""

import io
from collections.abc import Sequence
from pathlib import Path

from lsgan_tf.experiments import thinned_log
from lsgan_tf.experiments.row import Row
from lsgan_tf.experiments.verdict import Group

# Okabe and Ito's palette for colour-blind readers, without yellow.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_DASHES = ("-", "--", ":")
_WIDE_RANGE = 20  # from this ratio on an axis is logarithmic


def draw(row: Row, groups: Sequence[Group], directory: Path) -> bytes:
    """Draws the groups of a row's own length as PNG.

    Args:
        row: the row.
        groups: its runs, at least one.
        directory: which the paths of the logs are relative to.
    """
    from matplotlib.figure import Figure

    figure = Figure((8, 2.2 + 0.22 * len(groups)), layout="constrained")
    curves, ends = figure.subplots(1, 2, width_ratios=(3, 2))
    values = []
    for number, group in enumerate(groups):
        style = {
            "color": _COLOURS[number % len(_COLOURS)],
            "linestyle": _DASHES[number // len(_COLOURS) % len(_DASHES)],
        }
        values += _draw_curves(curves, group, style, directory)
        values += _draw_ends(ends, len(groups) - number, group, style["color"])
    ends.set_yticks(range(1, len(groups) + 1), [group.cell for group in groups][::-1])
    ends.set_ylim(0.5, len(groups) + 0.5)
    if min(values) > 0 and max(values) > _WIDE_RANGE * min(values):
        curves.set_yscale("log")
        ends.set_xscale("log")
    better = "higher" if row.direction > 0 else "lower"
    curves.set_xlabel("step")
    curves.set_ylabel(f"{groups[0].score} ({better} is better)")
    ends.set_xlabel(f"last {groups[0].score}, mean, 95 %")
    for axes in (curves, ends):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100, metadata={"Software": None})
    return file.getvalue()


def _draw_curves(axes, group, style, directory):
    values = []
    for line in group.lines:
        points = thinned_log.read_scores(directory / line.log, line.score)
        if points:
            axes.plot(*zip(*points, strict=True), linewidth=1, marker=".", markersize=3, **style)
            values += [value for _, value in points]
    return values


def _draw_ends(axes, height, group, colour):
    from lsgan_tf.experiments import intervals

    values = [line.last for line in group.lines]
    axes.plot(values, [height] * len(values), "o", color=colour, markersize=4, alpha=0.6)
    mean = intervals.of_mean(values)
    if mean.interval:
        axes.plot(mean.interval, [height] * 2, color=colour, linewidth=1.5)
    axes.plot([mean.value], [height], "|", color=colour, markersize=12)
    return values
