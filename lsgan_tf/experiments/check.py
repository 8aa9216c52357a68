"""A line of results.csv run again and compared."""

import shlex
import statistics
import tempfile
from pathlib import Path

from lsgan_tf.experiments import jobs, machine, results, row, runner
from lsgan_tf.experiments.jobs import Job, Places
from lsgan_tf.experiments.machine import DIRTY, UNKNOWN
from lsgan_tf.experiments.results import Line
from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.signals import StopRequest

_DEVIATIONS = 3


def check(name: str, places: Places, steps: int = 0) -> bool:
    """Repeats the run ROW/CELL-SEED in a directory of its own and prints the comparison.

    On the processor, commit and versions of the line the checkpoint must be equal to the bit, and
    the scores if the feature networks are the same; elsewhere the last score must lie within three
    standard deviations of the cell's seeds.

    Args:
        name: ROW/CELL-SEED.
        places: where things are; nothing is changed there.
        steps: of the line, if not the row's.

    Returns:
        Whether they agree.

    Raises:
        UserError: there is no such line, nothing to compare with, or a command failed.
        Stopped: a signal came.
    """
    lines = results.read(places.results)
    line, one = _find(name, lines, steps, places.results)
    jobs.check_data(one, places.data_dir)
    (job,) = (
        job
        for job in jobs.of_row(one, max(one.seeds, line.seed + 1), line.steps, places.runs_dir)
        if job.cell.name == line.cell and line.seed in job.seeds
    )
    spread = None if _is_same_place(line) else _spread(line, lines)
    files.make_parent(places.runs_dir / "check.log")
    with (
        StopRequest() as stop,
        tempfile.TemporaryDirectory("-check", dir=places.runs_dir) as folder,
    ):
        jobs.make_classifier(one, places.data_dir, places.runs_dir / "check.log", stop)
        again = _repeat(job, line, places, Path(folder), stop)
    return _compare_bits(line, again) if spread is None else _compare_spread(line, again, *spread)


def _find(name, lines, steps, path):
    row_name, _, run = name.partition("/")
    one = row.read(row_name)
    steps = steps or one.steps
    for line in lines:
        if line.run == name and line.steps == steps:
            one.cell(line.cell)  # it may be gone since
            return line, one
    known = sorted({line.run for line in lines if line.row == row_name})
    raise UserError(
        f"{path} has no line of {name} with {steps} steps; of row {row_name} it has: "
        f"{', '.join(known) or 'none'}."
    )


def _is_same_place(line):
    """Whether a run must be equal to the bit here: code that is not committed is unknown."""
    here = machine.commit(), machine.processor(), machine.versions()
    known = DIRTY not in line.commit and line.commit != UNKNOWN
    return known and here == (line.commit, line.processor, line.versions)


def _spread(line, lines):
    """(mean, standard deviation, how many) of the last scores of a line's cell."""
    same = (line.row, line.cell, line.steps, line.score)
    values = [one.last for one in lines if (one.row, one.cell, one.steps, one.score) == same]
    if len(values) < 2:
        raise UserError(
            f"{line.run} was run at commit {line.commit} on {line.processor} with {line.versions}, "
            "which is not what is here, so that its bits say nothing; and its cell has no other "
            "seed that would give a spread. Run a second seed first."
        )
    return statistics.mean(values), statistics.stdev(values), len(values)


def _repeat(job: Job, line: Line, places: Places, folder: Path, stop: StopRequest) -> Line:
    elsewhere = places._replace(results=folder / "results.csv")
    job = job._replace(directory=folder / job.directory.name)
    print(f"{line.run}: {line.steps:,} steps again", flush=True)
    lines = runner.run_job(job, elsewhere, stop, shlex.split(line.flags))
    (again,) = (one for one in lines if one.seed == line.seed)
    return again


def _compare_bits(line, again):
    same_features = _have_same_features(line, again)
    print(
        "same processor, commit and versions: the checkpoint "
        f"{'and the scores ' * same_features}must be equal to the bit"
    )
    agree, scores = True, ("last", "best", "last_scores") if same_features else ()
    for what in ("checkpoint_sha256", *scores):
        old, new = getattr(line, what), getattr(again, what)
        agree &= old == new
        print(f"  {what}: {'equal' if old == new else f'was {old}, is {new}'}")
    print(f"{line.run}: {'reproduced to the bit' if agree else 'NOT reproduced'}")
    return agree


def _compare_spread(line, again, mean, deviation, count):
    print(
        f"another processor, commit or versions: {line.score} must lie within "
        f"{_DEVIATIONS} standard deviations of the mean of {count} seeds"
    )
    _have_same_features(line, again)
    agree = line.score == again.score and abs(again.last - mean) <= _DEVIATIONS * deviation
    print(f"  {line.score} was {line.last:.6g}, is {again.last:.6g}; {mean:.6g} ± {deviation:.2g}")
    print(f"{line.run}: {'within the spread' if agree else 'NOT reproduced'}")
    return agree


def _have_same_features(line, again):
    """Says so if they have not."""
    features = [one.protocol.get("sha256", "") for one in (line, again)]
    if features[0] == features[1]:
        return True
    print("warning: the features are others than the line's ({:.12} and {:.12})".format(*features))
    return False
