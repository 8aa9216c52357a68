"""A picture of scores over the steps of training: a panel for each score, a line for each run."""

import io
import math
import textwrap

from lsgan_tf.runs import score_log

# Of Okabe and Ito, which colour-blind people can tell apart; without yellow, too light for lines.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_MARKERS = "osD^vPX*"  # one more than colours, so that the pairs repeat late
_GREY = "#6b6b6b"
_FLOOR = {"color": _GREY, "linestyle": "--", "linewidth": 1.2, "zorder": 1}
_WHICH = {-1: "lower is better", 1: "higher is better", 0: ""}
_PANEL = (3.3, 2.4)  # inches
_MOST_ACROSS = 4
_LARGEST = 1e100  # beyond, matplotlib's own numbers overflow


def draw(table):
    """The picture of a `comparison.Table`, as PNG."""
    from matplotlib.figure import Figure

    columns, styles = list(table.columns.values()), _styles(table)
    across, down = _arrangement(len(columns))
    width = _PANEL[0] * max(across, 2)
    names = _names(table, styles)
    names_across = max(1, int(width * 12 / (max(map(len, names)) + 6)))
    names_down = math.ceil(len(names) / names_across)
    height = _PANEL[1] * down + 0.22 * names_down + 0.6
    figure = Figure((width, height), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08)
    panels = list(figure.subplots(down, across, squeeze=False, sharex=True).flat)
    for panel, column in zip(panels, columns, strict=False):
        _draw_lines(panel, column.name, table, styles)
        _furnish(panel, column)
    for panel in panels[: len(columns)][-across:]:
        panel.set_xlabel("step", fontsize=8.5, color=_GREY)
    for panel in panels[len(columns) :]:
        panel.remove()
    heading = textwrap.fill(table.heading, int(13 * width))
    figure.suptitle(heading, fontsize=9.5, color=_GREY, parse_math=False)
    _legend(figure, names, [*styles.values(), _FLOOR], names_across)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()


def _arrangement(count):
    """Panels across and down."""
    across = count if count <= 3 else min(_MOST_ACROSS, math.ceil(math.sqrt(count)))
    return across, math.ceil(count / across)


def _styles(table):
    """{(run, weights): how its line looks}."""
    lines = dict.fromkeys((row.run, row.what) for row in table.rows if row.step is not None)
    looks = {"markersize": 4.5, "linewidth": 1.7}
    return {
        line: {
            "color": _COLOURS[index % len(_COLOURS)],
            "marker": _MARKERS[index % len(_MARKERS)],
            **looks,
        }
        for index, line in enumerate(lines)
    }


def _draw_lines(panel, name, table, styles):
    """The values of a score, and the floor, as far as they can be drawn."""
    points = {line: [] for line in styles}
    for row, scores in table.rows.items():
        value = scores[name].value if name in scores else math.nan
        if not abs(value) < _LARGEST:  # nor NaN
            continue
        if row.step is None:
            panel.axhline(value, **_FLOOR)
        else:
            points[row.run, row.what].append((row.step, value))
    for line, found in points.items():
        panel.plot([x for x, _ in found], [y for _, y in found], **styles[line])


def _furnish(panel, column):
    from matplotlib.ticker import EngFormatter, MaxNLocator

    panel.set_title(score_log.plain(column.heading), loc="left", fontsize=11, parse_math=False)
    panel.set_title(_WHICH[column.direction], loc="right", fontsize=8.5, color=_GREY)
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panel.grid(color="#e6e6e6", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8.5, labelbottom=True)


def _names(table, styles):
    """What the legend calls each line, and the floor if there is one."""
    runs = [run for run, _ in styles]
    names = [run if runs.count(run) == 1 else f"{run}, {weights}" for run, weights in styles]
    if any(row.step is None for row in table.rows):
        names.append("floor: real images")
    return [score_log.plain(name) for name in names]


def _legend(figure, names, styles, across):
    """One for all panels. A name may begin with _ or hold $, which mean something to matplotlib:
    it is set afterwards, as it is."""
    from matplotlib.lines import Line2D

    legend = figure.legend(
        [Line2D([], [], **style) for style, _ in zip(styles, names, strict=False)],
        [str(index) for index in range(len(names))],
        loc="outside lower center",
        ncols=min(across, len(names)),
        frameon=False,
        fontsize=9.5,
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)
