"""Runs of the Gaussian mixture: a line for each seed of a graph; the experiment is played here."""

import hashlib
import json

import numpy as np
import pytest

from lsgan_tf.experiments import jobs, mixture_run
from lsgan_tf.experiments.jobs import Places
from lsgan_tf.experiments.row import MIXTURE, Cell, Collapse
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.signals import StopRequest
from tests.experiments.evidence import make_row

MODES = {0: {0: 2, 10: 8, 20: 7}, 1: {0: 1, 10: 3, 20: 2}}
POINTS = np.arange(2 * 2 * 3 * 2, dtype=np.float32).reshape(2, 2, 3, 2)  # [steps, S, N, 2]


def _experiment(_, arguments, log, stop):
    (folder,) = (a.split("=")[1] for a in arguments if a.startswith("--output_dir="))
    folder = log.parent / folder.rpartition("/")[2]
    folder.mkdir(parents=True)
    rows = [
        {"objective": "least_squares", "seed": seed, "step": step, "modes_within_0_1": modes}
        | {"modes_within_3_deviations": 1, "share_within_0_1": 0.5, "share_within_3_deviations": 0}
        for step in (0, 10, 20)
        for seed, modes in ((seed, MODES[seed][step]) for seed in MODES)
    ]
    (folder / "modes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    np.savez(folder / "least_squares.npz", points=POINTS, seeds=[0, 1])


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(mixture_run.processes, "run", _experiment)
    monkeypatch.setattr(mixture_run.machine, "processor", lambda: "A, 1 core")
    row = make_row(
        **{"runner": MIXTURE, "score": "modes", "expect": (), "steps": 20, "seeds": 2},
        **{"cells": (Cell("lsgan", "least_squares"),), "collapse": Collapse(beyond=4)},
    )
    return jobs.of_row(row, 2, 20, tmp_path / "runs")[0]


def test_a_line_for_each_seed(job, tmp_path):
    places = Places(tmp_path, tmp_path / "runs", tmp_path / "docs" / "results.csv")
    first, second = mixture_run.run(job, places, StopRequest())
    assert (first.run, first.best, first.best_step, first.last) == ("tried/lsgan-0", 8.0, 10, 7.0)
    assert first.collapsed_at is None and first.last_scores["share within 0.1"] == 0.5
    assert (second.last, second.collapsed_at) == (2.0, 10)
    assert second.checkpoint_sha256 == hashlib.sha256(POINTS[-1, 1].tobytes()).hexdigest()
    assert "--seeds=0-1 --objective=least_squares --steps=20" in first.flags
    log = (tmp_path / "docs" / second.log).read_text().splitlines()
    assert json.loads(log[-1]) == {"step": 20, "scores": {"modes": 2.0}}
    assert mixture_run.run(job, places, StopRequest()) == [first, second]  # told, not trained


def test_damaged_results_are_named(job, tmp_path):
    places = Places(tmp_path, tmp_path / "runs", tmp_path / "docs" / "results.csv")
    mixture_run.run(job, places, StopRequest())
    path = job.directory / "least_squares.npz"
    for content in (b"", b"PK", path.read_bytes()[:-30]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="lsgan-0-1 is damaged: .* Remove it and run the row"):
            mixture_run.run(job, places, StopRequest())
