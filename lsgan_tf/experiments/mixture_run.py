"""Runs of the Gaussian mixture: some seeds in one graph, a line for each."""

import hashlib
import json
import shlex
import time
import zipfile

import numpy as np

from lsgan_tf.experiments import collapse, gaussian_mixture, machine, processes
from lsgan_tf.experiments.jobs import Job, Places, write_json_lines
from lsgan_tf.experiments.results import Line
from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.signals import StopRequest

TITLE = "modes"
_SNAPSHOTS = 7


def run(job: Job, places: Places, stop: StopRequest, flags: list[str] | None = None) -> list[Line]:
    """Trains some seeds, if that is missing, and tells them; as `recipe_run.run`."""
    flags = flags or [
        f"--seeds={job.seeds[0]}-{job.seeds[-1]}",
        f"--objective={job.cell.recipe}",
        f"--steps={job.steps}",
        f"--snapshot_every={max(1, job.steps // _SNAPSHOTS)}",
    ]
    finished = job.directory / "finished.json"
    if not finished.exists():
        start, commit = time.monotonic(), machine.commit()
        arguments = [*flags, f"--output_dir={job.directory}"]
        processes.run("experiments.gaussian_mixture", arguments, job.log, stop)
        facts = {"commit": commit, "seconds": (time.monotonic() - start) / len(job.seeds)}
        files.write_bytes(finished, json.dumps(facts).encode())
    try:
        facts = json.loads(finished.read_bytes())
        text = (job.directory / "modes.jsonl").read_text(encoding="utf-8")
        records = [json.loads(line) for line in text.splitlines()]
        with np.load(job.directory / f"{job.cell.recipe}.npz", allow_pickle=False) as stored:
            points = stored["points"][-1]  # of the last step: [S, N, 2]
            by_seed = dict(zip(stored["seeds"].tolist(), points, strict=True))
        return [_tell(job, places, flags, facts, records, seed, by_seed[seed]) for seed in by_seed]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{job.directory} is damaged: {error!r}. Remove it and run the row again."
        ) from error


def _tell(job, places, flags, facts, records, seed, points):
    row = job.row
    own = [record for record in records if record["seed"] == seed]
    values = {record["step"]: float(record["modes_within_0_1"]) for record in own if record["step"]}
    best = max(values, key=values.get)
    last = own[-1]
    write_json_lines(
        places.results.parent / job.thinned_log(seed),
        ({"step": step, "scores": {TITLE: value}} for step, value in values.items()),
    )
    return Line(
        row=row.name,
        cell=job.cell.name,
        recipe="gaussian_mixture",
        flags=shlex.join(flags),
        commit=facts["commit"],
        seed=seed,
        steps=job.steps,
        processor=machine.processor(),
        seconds=round(facts["seconds"], 1),
        versions=machine.versions(),
        score=TITLE,
        best=values[best],
        best_step=best,
        last=values[job.steps],
        last_step=job.steps,
        collapsed_at=collapse.first_step(row, values),
        last_scores={
            "modes within 3 deviations": float(last["modes_within_3_deviations"]),
            "share within 0.1": float(last["share_within_0_1"]),
            "share within 3 deviations": float(last["share_within_3_deviations"]),
        },
        protocol={"points": gaussian_mixture.POINTS, "covered": gaussian_mixture.COVERED},
        checkpoint_sha256=hashlib.sha256(points.tobytes()).hexdigest(),
        log=job.thinned_log(seed),
    )
