"""results.md and its figures, from the rows, results.csv and the thinned logs alone."""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lsgan_tf.experiments import collapse, figure, intervals, results, row, verdict
from lsgan_tf.experiments.intervals import Estimate
from lsgan_tf.experiments.results import Line
from lsgan_tf.experiments.row import Row
from lsgan_tf.experiments.verdict import Group
from lsgan_tf.utils import files

_HEAD = """# Results

<!-- Written by python -m lsgan_tf.reproduce --report; what is changed by hand is lost. -->

The papers' claims, each with the runs that test it. The page is made of
[results.csv](results.csv), a line for each run, of the thinned logs in `docs/logs`, and of the rows
in `lsgan_tf/experiments/rows`; it says nothing that was not run. What was measured besides is in
[measurements.md](measurements.md).

    python -m lsgan_tf.reproduce --list
    python -m lsgan_tf.reproduce --row=NAME
    python -m lsgan_tf.reproduce --check=ROW/CELL-SEED
    python -m lsgan_tf.reproduce --report

`--row` runs what this table lacks; with `--results=mine/results.csv` it begins a table of your own,
of which `--report` makes such a page beside it.

The runs have the seeds 0, 1, 2 and so on; none is left out. Of each run the best and the last of
the scored checkpoints are given. A mean stands with the standard deviation of single runs and,
where a claim rests on it, its 95 % interval in brackets (Student's t); a share with Wilson's
interval. A claim that one cell is better than another is supported if the 95 % interval of the
difference lies above zero, contradicted if it lies below, and else not decided (Welch's interval of
means, Newcombe's of shares). That cells learn is supported if the interval of the share of their
runs that do lies above one half, contradicted if it lies below.
Published figures were taken by other protocols, which are stated: the order of cells compares,
the numbers do not.

"""


def write(path: Path) -> list[Path]:
    """Writes results.md and results/ROW.png beside results.csv.

    Args:
        path: results.csv.

    Returns:
        The files written.

    Raises:
        UserError: a row, the csv or a log is damaged, or a file cannot be written.
    """
    lines, rows = results.read(path), [row.read(name) for name in row.names()]
    grouped = {one.name: verdict.groups(one, lines) for one in rows}
    written = []
    for one in rows:
        written += _write_figure(one, grouped[one.name], path)
    text = _HEAD + _summary(rows, grouped)
    text += "".join(_section(one, grouped[one.name]) for one in rows)
    written.append(path.with_suffix(".md"))
    files.write_bytes(written[-1], text.encode())
    return written


def write_figure(one: Row, path: Path) -> list[Path]:
    """Writes results/ROW.png beside results.csv, if the row has runs; as `write`."""
    return _write_figure(one, verdict.groups(one, results.read(path)), path)


def _write_figure(one, groups, path):
    own = _own(one, groups)
    if not own:
        return []
    picture = path.parent / "results" / f"{one.name}.png"
    files.make_parent(picture)
    files.write_bytes(picture, figure.draw(one, own, path.parent))
    return [picture]


def _own(one, groups):
    """The groups of the row's own length."""
    return [group for group in groups if group.steps == one.steps]


def _summary(rows, grouped):
    cells = [("row", "source", "claim", "runs", "")]
    for one in rows:
        runs = sum(group.count for group in _own(one, grouped[one.name]))
        word = verdict.judge(one, grouped[one.name]).word
        source = f"{one.paper}, {one.where}"
        cells.append((f"[{one.name}](#{one.name})", source, one.claim, str(runs), word))
    return _table(cells)


def _section(one: Row, groups: Sequence[Group]) -> str:
    parts = [f"## {one.name}", f"**{one.title}** ({one.paper}, {one.where}). {one.claim}"]
    if one.published_protocol:
        parts.append(f"Published: {one.published_protocol}")
    if one.deviations:
        parts.append(f"Here: {one.deviations}")
    if one.cells:
        parts.append(_commands(one))
    if groups:
        parts += [_protocol(one, groups), _results(one, groups).rstrip()]
    parts.append(str(verdict.judge(one, groups)))
    if _own(one, groups):
        parts += [f"![{one.name}](results/{one.name}.png)", _provenance(groups)]
    for picture in one.pictures:
        parts += [_code(picture.command), f"![{one.title}]({picture.file})"]
        parts.append(f"*{picture.caption}*")
    return "\n\n".join(part for part in parts if part) + "\n\n"


def _commands(one):
    prepare = one.prepare.strip().replace("DATA_DIR", "data")
    commands = [prepare, f"python -m lsgan_tf.reproduce --row={one.name}"]
    length = f"{one.steps:,} steps a run"
    if one.paper_steps:
        length += f" of the original's {one.paper_steps:,}"
    code = _code("\n".join(filter(None, commands)))
    return f"{code}\n\n{length}; {one.seeds} seeds; {one.cost}."


def _protocol(one, groups):
    """How the runs were scored, by the first of them."""
    line = groups[0].lines[0]
    facts = line.protocol
    rule = collapse.describe(one)
    collapsed = f" A checkpoint is collapsed if {rule}; a run, if its last one is." if rule else ""
    collapsed += " A run whose losses do not stay finite ends there and counts as collapsed."
    if "features" not in facts:
        return f"Scored on {facts['points']:,} points a snapshot.{collapsed}"
    text = (
        f"{line.score}: {facts['generated']:,} images of {_weights(groups)} against "
        f"{facts['real']:,} of {facts['dataset']} {facts['split']}, features {facts['features']} "
        f"({facts['sha256'][:12]})"
    )
    if facts.get("test_accuracy"):
        text += f", of test accuracy {facts['test_accuracy']:.3f}"
    if "also" in facts:
        also = facts["also"]
        text += (
            f"; {also['generated']:,} against {also['real']:,} for {also['features']} "
            f"({also['sha256'][:12]})"
        )
    return f"{text}.{collapsed}"


def _weights(groups):
    """Which weights made the images: a recipe without an average has the raw ones."""
    cells = {}
    for group in groups:
        cells.setdefault(f"{group.lines[0].protocol['weights']} weights", {})[group.cell] = True
    if len(cells) == 1:
        return next(iter(cells))
    return " and ".join(f"{weights} ({', '.join(of)})" for weights, of in cells.items())


def _results(one, groups):
    score = groups[0].score
    head = ["cell", "recipe", "steps", "runs", f"last {score}", f"best {score}", "at step"]
    rows = [(*head, *one.show, "collapsed", *(["succeeded"] if one.success else []), "published")]
    for group in groups:
        cell, lines = one.cell(group.cell), group.lines
        collapsed = [line for line in lines if line.collapsed_at is not None]
        at = f", from step {_range(collapsed, 'collapsed_at')}" if collapsed else ""
        diverged = sum(line.last_step < line.steps for line in lines)
        at += f"; of them {diverged} diverged" if diverged else ""
        succeeded = [sum(verdict.succeeds(one, line) for line in lines)] if one.success else []
        rows.append(
            (
                *(group.cell, f"`{cell.recipe}`", f"{group.steps:,}", str(group.count)),
                *(_mean(lines, name) for name in ("last", "best")),
                _range(lines, "best_step"),
                *(_shown(lines, title) for title in one.show),
                f"{_share(len(collapsed), len(lines))}{at}",
                *(_share(count, len(lines)) for count in succeeded),
                cell.published,
            )
        )
    return _table(rows)


def _range(lines, name):
    values = [getattr(line, name) for line in lines]
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _mean(lines, name):
    estimate = intervals.of_mean([getattr(line, name) for line in lines])
    if estimate.interval is None:
        return _show(estimate)
    return f"{_show(estimate)} [{verdict.show_interval(estimate)}]"


def _shown(lines, title):
    values = [line.last_scores[title] for line in lines if title in line.last_scores]
    return _show(intervals.of_mean(values)) if values else ""


def _share(successes: int, count: int) -> str:
    return f"{successes} of {count} [{verdict.show_interval(intervals.of_share(successes, count))}]"


def _show(estimate: Estimate) -> str:
    """The mean and the deviation, two digits of which decide how many the mean has."""
    if not estimate.deviation:
        return f"{estimate.value:.4g}"
    decimals = max(1 - math.floor(math.log10(estimate.deviation)), 0)
    return f"{estimate.value:.{decimals}f} ± {estimate.deviation:.{decimals}f}"


def _provenance(groups):
    """Where, when and how long: of all lines of a row."""
    lines: list[Line] = [line for group in groups for line in group.lines]
    parts = []
    for name in ("processor", "commit", "versions"):
        counts = Counter(getattr(line, name) for line in lines)
        listed = (
            f"{text} ({count})" if len(counts) > 1 else text for text, count in counts.items()
        )
        parts.append(f"{name} {'; '.join(listed)}")
    seconds = [line.seconds for line in lines]
    hours, median = sum(seconds) / 3600, statistics.median(seconds) / 60
    logs = f"[logs/{lines[0].row}](logs/{lines[0].row})"
    return f"{hours:.1f} hours of training, a run {median:.1f} minutes in the median; {logs}; " + (
        "; ".join(parts) + "."
    )


def _code(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.strip().splitlines())


def _table(rows: Sequence[Sequence[str]]) -> str:
    def line(cells):
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |\n"

    head, *body = rows
    return line(head) + "|" + "---|" * len(head) + "\n" + "".join(map(line, body)) + "\n"
