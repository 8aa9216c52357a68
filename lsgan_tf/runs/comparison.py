"""The scores of several runs side by side, as tables and as curves; without TensorFlow.

Only scores of one protocol compare: each protocol has a table of its own.
"""

import io
import math
import os
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lsgan_tf.runs import score_log
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.runs.score_log import LoggedScore, Protocol
from lsgan_tf.utils import command_line, files
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.score_directions import BETTER

_DIGESTS = ("sha256", "fingerprint")  # the first digits identify them

# Okabe and Ito's palette for colour-blind readers, without yellow, which is too light for lines.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_MARKERS = "osD^vPX*"  # one more than colours: 56 pairs before one repeats
_GREY = "#6b6b6b"
_FLOOR = {"color": _GREY, "linestyle": "--", "linewidth": 1.2, "zorder": 1}
_DIRECTIONS = {-1: "lower is better", 1: "higher is better", 0: ""}
_PANEL = (3.3, 2.4)  # inches
_MOST_COLUMNS = 4
_LARGEST = 1e100  # beyond, matplotlib's own numbers overflow


class Row(NamedTuple):
    """One set of images that was scored."""

    run: str
    step: int | None  # None of real images
    what: str  # the weights, or which real images


class Table(NamedTuple):
    """All that was scored under one protocol."""

    heading: str  # the protocol, and in what it differs from the others
    rows: dict[Row, dict[str, LoggedScore]]  # real images last

    @property
    def runs(self) -> set[str]:
        """The names of the runs whose checkpoints it holds."""
        return {row.run for row in self.rows if row.step is not None}

    @property
    def columns(self) -> dict[str, LoggedScore]:
        """{name: a score of that name}, in the order of `BETTER`."""
        by_name = {name: score for scores in self.rows.values() for name, score in scores.items()}
        known = [name for name in BETTER if name in by_name]
        return {name: by_name[name] for name in [*known, *sorted(by_name.keys() - set(known))]}

    def best(self, column: LoggedScore) -> float | None:
        """The best finite value of the checkpoints, or None."""
        values = [
            scores[column.name].value
            for row, scores in self.rows.items()
            if row.step is not None and column.name in scores
        ]
        finite = [value * column.direction for value in values if math.isfinite(value)]
        return max(finite) * column.direction if finite and column.direction else None


def table(runs: Iterable[Run]) -> list[str]:
    """The scores of runs as lines of text: a table for each protocol.

    Rows are in the order of the runs and their steps, then come the real images: the floor. The
    best value of each column is marked with *.

    Raises:
        UserError: one is no run, or has no scores.
    """
    names, tables = _read_tables(runs)
    lines = []
    for one in tables:
        lines += [one.heading, *command_line.aligned(_to_cells(one)), ""]
    if not any(one.runs == set(names) for one in tables):
        lines.append(
            "No protocol is shared by all runs: numbers of different tables do not compare. Score "
            "all runs with the same flags of python -m lsgan_tf.evaluate."
        )
    return lines if lines[-1] else lines[:-1]


def write_curves(runs: Iterable[Run], path: str | Path) -> Path:
    """Draws each score over the steps, under the protocol that most runs share.

    Args:
        runs: the runs.
        path: the PNG to write.

    Returns:
        The path.

    Raises:
        UserError: as `table` does, or the file cannot be written.
    """
    _, tables = _read_tables(runs)
    files.write_bytes(Path(path), _draw(tables[0]))
    return Path(path)


def _read_tables(runs: Iterable[Run]) -> tuple[list[str], list[Table]]:
    """(names of the runs, tables: those that most runs share first, then the largest)."""
    runs = list({os.path.abspath(run.directory): run for run in runs}.values())
    names = _shortest_names([run.directory for run in runs])
    by_protocol = {}  # {Protocol: {Row: {score's name: LoggedScore}}}
    for name, run in zip(names, runs, strict=True):
        for score in _read_scores(run):
            row = Row(name, score.step, score.images if score.step is None else score.weights)
            by_protocol.setdefault(score.protocol, {}).setdefault(row, {})[score.name] = score
    differing = _differing_names(by_protocol)

    def position(row):
        return row.step is None, names.index(row.run), row.step or 0, row.what

    tables = [
        Table(_heading(protocol, differing), {row: rows[row] for row in sorted(rows, key=position)})
        for protocol, rows in by_protocol.items()
    ]
    return names, sorted(tables, key=lambda one: (-len(one.runs), -len(one.rows)))


def _read_scores(run: Run) -> list[LoggedScore]:
    run.read()  # refuses what is no run
    scores = score_log.read_scores(run)
    if all(score.step is None for score in scores):
        raise UserError(
            f"{run.directory} has no scores yet; "
            f"run python -m lsgan_tf.evaluate --run_dir={run.directory}"
        )
    return scores


def _shortest_names(directories: Sequence[Path]) -> list[str]:
    """The last parts of each path, as many as distinguish it from the others."""
    paths = [Path(os.path.abspath(directory)).parts for directory in directories]

    def shortest(path):
        for count in range(1, len(path)):
            if sum(other[-count:] == path[-count:] for other in paths) == 1:
                return path[-count:]
        return path

    return [os.path.join(*shortest(path)) for path in paths]


def _differing_names(protocols: Iterable[Protocol]) -> set[str]:
    """The names in `rest` whose values are not the same in all protocols."""
    rests = [dict(protocol.rest) for protocol in protocols]
    names = {name for rest in rests for name in rest}
    return {name for name in names if len({rest.get(name) for rest in rests}) > 1}


def _heading(protocol: Protocol, differing: set[str]) -> str:
    rest = {name: value.strip('"') for name, value in protocol.rest if name in differing}
    shown = (f"{name} {value[:12] if name in _DIGESTS else value}" for name, value in rest.items())
    return score_log.one_line(", ".join([str(protocol), *shown]))


def _to_cells(one: Table) -> list[tuple[str, ...]]:
    columns = one.columns.values()
    best = {column.name: one.best(column) for column in columns}

    def cell(row, score):
        if score is None:
            return "-"
        is_best = row.step is not None and score.value == best[score.name]
        return score.text + ("*" if is_best else "")

    rows = [("run", "step", "weights", *(column.heading for column in columns))]
    for row, scores in one.rows.items():
        step = "floor" if row.step is None else str(row.step)
        cells = (cell(row, scores.get(column.name)) for column in columns)
        rows.append((row.run, step, row.what, *cells))
    return [tuple(map(score_log.one_line, row)) for row in rows]


def _draw(one: Table) -> bytes:
    """A picture of a table as PNG: a panel for each score, a line for each run."""
    from matplotlib.figure import Figure

    columns, styles = list(one.columns.values()), _line_styles(one)
    across, down = _arrangement(len(columns))
    width = _PANEL[0] * max(across, 2)
    labels = _legend_labels(one, styles)
    labels_across = max(1, int(width * 12 / (max(map(len, labels)) + 6)))
    labels_down = math.ceil(len(labels) / labels_across)
    height = _PANEL[1] * down + 0.22 * labels_down + 0.6
    figure = Figure((width, height), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08)
    panels = list(figure.subplots(down, across, squeeze=False, sharex=True).flat)
    for panel, column in zip(panels, columns, strict=False):
        _draw_lines(panel, column.name, one, styles)
        _label_panel(panel, column)
    for panel in panels[: len(columns)][-across:]:
        panel.set_xlabel("step", fontsize=8.5, color=_GREY)
    for panel in panels[len(columns) :]:
        panel.remove()
    heading = textwrap.fill(one.heading, int(13 * width))
    figure.suptitle(heading, fontsize=9.5, color=_GREY, parse_math=False)
    _add_legend(figure, labels, [*styles.values(), _FLOOR], labels_across)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()


def _arrangement(count: int) -> tuple[int, int]:
    """(columns, rows) of so many panels."""
    across = count if count <= 3 else min(_MOST_COLUMNS, math.ceil(math.sqrt(count)))
    return across, math.ceil(count / across)


def _line_styles(one: Table) -> dict[tuple[str, str], dict[str, Any]]:
    """{(run, weights): matplotlib's properties of its line}."""
    lines = dict.fromkeys((row.run, row.what) for row in one.rows if row.step is not None)
    return {
        line: {
            "color": _COLOURS[index % len(_COLOURS)],
            "marker": _MARKERS[index % len(_MARKERS)],
            "markersize": 4.5,
            "linewidth": 1.7,
        }
        for index, line in enumerate(lines)
    }


def _draw_lines(panel, name, one, styles):
    """Draws the values of a score and the floor, without those too large for matplotlib."""
    points = {line: [] for line in styles}
    for row, scores in one.rows.items():
        value = scores[name].value if name in scores else math.nan
        if not abs(value) < _LARGEST:  # true of NaN, too
            continue
        if row.step is None:
            panel.axhline(value, **_FLOOR)
        else:
            points[row.run, row.what].append((row.step, value))
    for line, coordinates in points.items():
        panel.plot([x for x, _ in coordinates], [y for _, y in coordinates], **styles[line])


def _label_panel(panel, column):
    from matplotlib.ticker import EngFormatter, MaxNLocator

    panel.set_title(score_log.one_line(column.heading), loc="left", fontsize=11, parse_math=False)
    panel.set_title(_DIRECTIONS[column.direction], loc="right", fontsize=8.5, color=_GREY)
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panel.grid(color="#e6e6e6", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8.5, labelbottom=True)


def _legend_labels(one: Table, styles: Iterable[tuple[str, str]]) -> list[str]:
    """A label for each line, and one for the floor if there is one."""
    runs = [run for run, _ in styles]
    labels = [run if runs.count(run) == 1 else f"{run}, {weights}" for run, weights in styles]
    if any(row.step is None for row in one.rows):
        labels.append("floor: real images")
    return [score_log.one_line(label) for label in labels]


def _add_legend(figure, labels, styles, across):
    """Adds one legend for all panels.

    matplotlib hides labels that begin with _ and reads $ as mathematics: the texts are set
    afterwards, verbatim.
    """
    from matplotlib.lines import Line2D

    legend = figure.legend(
        [Line2D([], [], **style) for style, _ in zip(styles, labels, strict=False)],
        [str(index) for index in range(len(labels))],
        loc="outside lower center",
        ncols=min(across, len(labels)),
        frameon=False,
        fontsize=9.5,
    )
    for legend_text, label in zip(legend.get_texts(), labels, strict=True):
        legend_text.set_parse_math(False)
        legend_text.set_text(label)
