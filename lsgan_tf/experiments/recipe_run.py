"""A run of a recipe: trained, scored, and told in a line."""

import math
import shlex

from lsgan_tf import recipes
from lsgan_tf.experiments import collapse, machine, processes, thinned_log
from lsgan_tf.experiments.jobs import Job, Places
from lsgan_tf.experiments.results import Line
from lsgan_tf.experiments.row import CLASSIFIER, Protocol
from lsgan_tf.runs import score_log
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.signals import StopRequest

_IN_CHECKOUT = "--flagfile=flags/"
_DIVERGED = "became NaN or infinite"  # in the message of a trainer whose metrics are not finite
_ALSO = "fid"  # what a second network gives, with classes or without
_SPARE = 20  # a run that is stopped and resumed has a checkpoint more, of a step that is not scored


def training_flags(job: Job) -> list[str]:
    """The flags that train a run, without those of this machine."""
    row, steps = job.row, scored_steps(job.steps, job.row.protocol)
    return [
        f"{_IN_CHECKOUT}{job.cell.recipe}.flags",
        f"--dataset={row.dataset}",
        *job.cell.flags,
        f"--seed={job.seeds[0]}",
        f"--train_steps={job.steps}",
        f"--checkpoint_every={steps[0]}",
        f"--keep_checkpoints={len(steps) + _SPARE}",
    ]


def scored_steps(steps: int, protocol: Protocol) -> list[int]:
    """The steps that are scored, evenly spread; the last one is among them."""
    every = max(1, steps // protocol.checkpoints)
    return [*range(every, steps, every), steps]


def run(job: Job, places: Places, stop: StopRequest, flags: list[str] | None = None) -> list[Line]:
    """Does what is missing of a run and tells it.

    Args:
        job: the run.
        places: where things are; nothing is written beside the results but the thinned log.
        stop: asked between and while commands run.
        flags: of the training, if not those of the job.

    Returns:
        One line.

    Raises:
        UserError: a command failed, or the run cannot be read.
        Stopped: a signal came.
    """
    run, flags = Run(job.directory), flags or training_flags(job)
    if not _checkpoint(run, job.steps):
        _note_commit(run)
        _train(job, places, flags, stop)
    _score(job, places, stop)
    line = _tell(job, places, run, flags)
    thinned_log.write(places.results.parent / line.log, run)
    return [line]


def tidy(job: Job) -> None:
    """Removes the checkpoints of a finished run but the last: they are large."""
    run = Run(job.directory)
    kept = _checkpoint(run, _last_step(job, run)) if run.checkpoints.is_dir() else []
    for path in run.checkpoints.glob("step-*"):
        if path not in kept:
            path.unlink(missing_ok=True)


def _train(job, places, flags, stop):
    here = (flag.replace(_IN_CHECKOUT, f"--flagfile={recipes.RECIPES}/", 1) for flag in flags)
    own = [f"--run_dir={job.directory}", f"--data_dir={places.data_dir}"]
    try:
        processes.run("train", [*here, *own], job.log, stop)
    except UserError as error:
        if _DIVERGED not in str(error):
            raise
        print(f"{job.name}: {error}", flush=True)  # it counts as collapsed


def _last_step(job, run):
    """The last scored step that a run has a checkpoint of: its end, unless it diverged."""
    for step in reversed(scored_steps(job.steps, job.row.protocol)):
        if _checkpoint(run, step):
            return step
    raise UserError(f"{job.directory} has no checkpoint to score; see {job.log}.")


def _checkpoint(run, step):
    """The files of a checkpoint, if it is complete."""
    if not (run.checkpoints / f"step-{step}.index").is_file():
        return []
    return list(run.checkpoints.glob(f"step-{step}.*"))


def _score(job, places, stop):
    """Scores what is not scored yet."""
    row, last = job.row, _last_step(job, Run(job.directory))
    wanted = [(row.protocol, row.score, _steps_until(last, job))]
    if row.also:
        wanted.append((row.also, _ALSO, [last]))
    for protocol, score, steps in wanted:
        done = _read_scores(job, protocol)
        missing = [step for step in steps if score not in done.get(step, {})]
        chosen = ["all"] if missing == steps and len(steps) > 1 else map(str, missing)
        for checkpoint in chosen:
            _evaluate(job, places, protocol, checkpoint, stop)


def _steps_until(last, job):
    return [step for step in scored_steps(job.steps, job.row.protocol) if step <= last]


def _evaluate(job, places, protocol, checkpoint, stop):
    features = protocol.features
    if (places.data_dir / "features" / features).exists():
        features = places.data_dir / "features" / features
    arguments = [
        f"--run_dir={job.directory}",
        f"--data_dir={places.data_dir}",
        f"--features={features}",
        f"--images={protocol.images}",
        f"--checkpoint={checkpoint}",
    ]
    processes.run("evaluate", arguments, job.log, stop)


def _read_scores(job, protocol):
    """{step: {name of a score: what was scored last}} under a protocol."""
    by_step = {}
    for scored in score_log.read_lines(Run(job.directory)):
        if scored.step is None:  # of real images
            continue
        of_classifier = str(scored.extractor.get("name", "")).startswith(CLASSIFIER)
        if of_classifier == (protocol.features == CLASSIFIER) and scored.count == protocol.images:
            by_step.setdefault(scored.step, {})[scored.score] = scored
    return by_step


def _tell(job, places, run, flags):
    row, last_step = job.row, _last_step(job, run)
    by_step = _read_scores(job, row.protocol)
    values = _values(job, run, by_step, _steps_until(last_step, job))
    best_step = min(values, key=lambda step: -row.direction * values[step])
    collapsed_at = collapse.first_step(row, values, by_step)
    if last_step < job.steps and collapsed_at is None:
        collapsed_at = last_step
    last = by_step[last_step]
    also = _read_scores(job, row.also)[last_step] if row.also else {}
    return Line(
        row=row.name,
        cell=job.cell.name,
        recipe=job.cell.recipe,
        flags=shlex.join(flags),
        commit=_noted_commit(run),
        seed=job.seeds[0],
        steps=job.steps,
        processor=machine.processor(),
        seconds=round(_seconds(run), 1),
        versions=machine.versions(),
        score=last[row.score].title,
        best=values[best_step],
        best_step=best_step,
        last=values[last_step],
        last_step=last_step,
        collapsed_at=collapsed_at,
        last_scores={one.title: one.value for one in (*also.values(), *last.values())},
        protocol=_protocol(row, last[row.score], also.get(_ALSO)),
        checkpoint_sha256=files.sha256_of_all(_checkpoint(run, last_step), run.checkpoints),
        log=job.thinned_log(job.seeds[0]),
    )


def _values(job, run, by_step, steps):
    """{step: the score that decides} of a run."""
    score = job.row.score
    values = {step: by_step[step][score].value for step in steps if score in by_step.get(step, {})}
    if list(values) != steps or not all(map(math.isfinite, values.values())):
        raise UserError(
            f"{run.scores} has no finite {score} of each of the steps {steps}. If the row has had "
            f"other steps before, remove {run.directory}."
        )
    return values


def _protocol(row, scored, also):
    def of(protocol, scored):
        extractor, reference = scored.extractor, scored.reference
        return {
            "features": protocol.features,
            **{name: extractor.get(name) for name in ("sha256", "dtype", "test_accuracy")},
            **{name: reference.get(name) for name in ("dataset", "fingerprint", "split")},
            "real": reference.get("images"),
            "generated": scored.count,
            "weights": scored.weights,
        }

    whole = of(row.protocol, scored)
    return whole if also is None else {**whole, "also": of(row.also, also)}


def _seconds(run):
    """Seconds of training, by the log: what was lost by interruptions does not count."""
    config, _ = run.read()
    seconds, before = 0.0, 0
    for record in run.read_metrics():
        rate = record.get("images_per_second")
        if isinstance(rate, float) and rate > 0:
            images = (record["step"] - before) * config.batch_size * config.n_critic
            seconds, before = seconds + images / rate, record["step"]
    return seconds


def _note_commit(run):
    """Adds the commit to those that a run was trained at: one, unless it was resumed later."""
    path = run.directory.with_name(f"{run.directory.name}.commits")
    noted = path.read_text().split() if path.exists() else []
    if machine.commit() not in noted:
        files.make_parent(path)
        files.write_bytes(path, "\n".join([*noted, machine.commit()]).encode())


def _noted_commit(run):
    return "+".join(run.directory.with_name(f"{run.directory.name}.commits").read_text().split())
