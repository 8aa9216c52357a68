"""Runs what is missing of a row; several processes may do so at once."""

from lsgan_tf.experiments import jobs, mixture_run, recipe_run, results
from lsgan_tf.experiments.jobs import Job, Places
from lsgan_tf.experiments.processes import Stopped
from lsgan_tf.experiments.row import MIXTURE, NO_RUNS, Row
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.signals import StopRequest


def run_row(row: Row, places: Places, seeds: int, steps: int) -> None:
    """Trains and scores the runs of a row that have no line yet, and adds their lines.

    A run that another process holds is left to it; one that fails does not keep the others back.

    Args:
        row: the row.
        places: where things are.
        seeds: of each cell, from 0 on.
        steps: of each run.

    Raises:
        UserError: the data are missing, the feature networks are not those of the runs that are
            there, or some runs failed; says which.
        Stopped: a signal came.
    """
    if row.runner == NO_RUNS:
        print(f"row {row.name} has no runs.")
        return
    wanted = jobs.of_row(row, seeds, steps, places.runs_dir)
    if all(_is_told(job, places) for job in wanted):
        print(
            f"row {row.name}: all {seeds * len(row.cells)} runs of {steps:,} steps are in "
            f"{places.results}. --check=ROW/CELL-SEED repeats one; --results=OTHER.csv begins a "
            "table of your own."
        )
        return
    jobs.check_data(row, places.data_dir)
    failed = []
    with StopRequest() as stop:
        if row.runner != MIXTURE:
            log = places.runs_dir / row.name / "classifier.log"
            jobs.make_classifier(row, places.data_dir, log, stop)
            jobs.check_networks(row, steps, places)
        for job in wanted:
            try:
                _run_if_missing(job, places, stop)
            except Stopped:
                raise
            except UserError as error:
                print(f"{job.name}: {error}", flush=True)
                failed.append(job.name)
    if failed:
        raise UserError(
            f"{len(failed)} runs of row {row.name} failed: {', '.join(failed)}. The same command "
            "tries them again; what is finished is kept."
        )


def run_job(
    job: Job, places: Places, stop: StopRequest, flags: list[str] | None = None
) -> list[results.Line]:
    """Does a job and returns a line for each of its seeds; see `recipe_run.run`."""
    kind = mixture_run if job.row.runner == MIXTURE else recipe_run
    return kind.run(job, places, stop, flags)


def _run_if_missing(job, places, stop):
    if _is_told(job, places):
        return
    with jobs.locked(job.directory.with_name(f".{job.directory.name}.lock")) as held:
        if not held or _is_trained_elsewhere(job):
            print(f"{job.name}: another process is at it", flush=True)
            return
        if _is_told(job, places):  # meanwhile
            return
        print(f"{job.name}: {job.steps:,} steps", flush=True)
        lines = run_job(job, places, stop)
        results.append(places.results, lines)
        recipe_run.tidy(job)
        for line in lines:
            print(f"{line.run}: {line.score} {line.last:.4g}, best {line.best:.4g}", flush=True)


def _is_told(job, places):
    told = {line.key for line in results.read(places.results)}
    wanted = {(job.row.name, job.cell.name, seed, job.steps) for seed in job.seeds}
    return wanted <= told


def _is_trained_elsewhere(job):
    """Whether a trainer whose parent was killed is still at it."""
    if not job.directory.is_dir():
        return False
    try:
        with Run(job.directory).locked():
            return False
    except UserError:
        return True
