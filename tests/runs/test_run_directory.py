"""The run directory: claims, differences, locks, metrics."""

import dataclasses
import json
import multiprocessing
import re

import numpy as np
import pytest

from lsgan_tf.config import Config
from lsgan_tf.runs.run_directory import DataFacts, Run
from lsgan_tf.utils.errors import UserError

DATA = DataFacts((8, 8, 1), 10, ("a", "b"), "f00d")


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "run")


def _config(run, **changes):
    return Config(run_dir=str(run.directory), **changes)


def test_what_is_claimed_is_read_back(run):
    run.claim(_config(run, seed=3), DATA)
    assert run.read() == (_config(run, seed=3), DATA)
    assert "--seed=3" in run.recipe.read_text()


def test_the_data_are_found_from_another_folder(run, tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here / "data", there / "data"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(here)
    run.claim(_config(run, data_dir="data"), DATA)
    assert run.read()[0].data_dir == "data"
    monkeypatch.chdir(there)
    assert run.read()[0].data_dir == str(here / "data")
    (here / "data").rmdir()  # the run was moved to another machine, say
    assert run.read()[0].data_dir == "data"


def test_changed_flags_are_listed_and_refused(run):
    run.claim(_config(run), DATA)
    changed = _config(run, learning_rate=0.5, optimizer="rmsprop")
    with pytest.raises(UserError, match="learning_rate: was 0.0002, is 0.5") as refusal:
        run.check(changed, DATA)
    assert "optimizer: was adam, is rmsprop" in str(refusal.value)
    run.check(changed, DATA, allow_change=True)
    assert run.read()[0].learning_rate == 2e-4  # checking changes nothing
    run.claim(changed, DATA)
    assert run.read()[0].learning_rate == 0.5


def test_changed_data_are_refused(run):
    run.claim(_config(run), DATA)
    with pytest.raises(UserError, match="data set's fingerprint: was f00d, is beef"):
        run.check(_config(run), dataclasses.replace(DATA, fingerprint="beef"))


def test_a_longer_run_is_no_change(run, capsys):
    run.claim(_config(run, train_steps=5), DATA)
    run.check(_config(run, train_steps=9, log_every=7), DATA)
    assert "resuming with --train_steps=9 (was 5)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not a run directory"),
        ("{", "damaged"),
        ('{"format": 1}', "damaged"),
        ('{"format": 9, "config": {}, "data": {}}', "format 9"),
        ("[]", "damaged"),
        ("[" * 100_000, "damaged"),
        ('{"format": 1, "config": {}, "data": {}}', "data.image_shape is missing"),
        ('{"format": 1, "config": [], "data": {}}', "damaged"),
        ('{"format": 1, "config": {"seed": "x"}, "data": {}}', "seed must be of type int"),
        ('{"format": 1, "config": {"sed": 1}, "data": {}}', "config.sed is not a known field"),
        ('{"format": true, "config": {}, "data": {}}', "format must be of type int"),
        ('{"format": 1, "config": {"beta_1": 1.0}, "data": {}}', "damaged: config: --beta_1=1.0"),
        ('{"format": 1, "config": {"seed": 1}, "data": {"image_shape": 5}}', "damaged"),
        ('{"format": 1, "config": {"seed": 1}, "data": {"image_shape": [28, 28]}}', "damaged"),
    ],
)
def test_what_is_no_run_is_refused(run, content, message):
    run.directory.mkdir()
    if content is not None:
        (run.directory / "config.json").write_text(content)
    with pytest.raises(UserError, match=message):
        run.read()


@pytest.mark.parametrize(
    "shape", [(2,), (8, 8), (8, 8, 1, 1), (8, 8, 1.0), (8, True, 1), (8, 0, 1)]
)
def test_a_shape_of_no_image_is_refused(run, shape):
    run.claim(_config(run), DATA)
    path = run.directory / "config.json"
    stored = json.loads(path.read_text())
    stored["data"]["image_shape"] = shape
    path.write_text(json.dumps(stored))
    with pytest.raises(UserError, match="config.json is damaged: data.*image_shape"):
        run.read()


def test_a_run_of_an_older_version_is_read_with_defaults_and_goes_on(run, capsys):
    """It lacks newer flags, and where it ran."""
    run.claim(_config(run, seed=3), DATA, replicas=2)
    path = run.directory / "config.json"
    stored = json.loads(path.read_text())
    for name in ("replicas", "versions", "numerics", "data_path"):
        del stored[name]
    for name in ("eval_every", "penalty", "n_critic", "schedule", "beta_2"):
        del stored["config"][name]
    path.write_text(json.dumps(stored))
    assert run.read() == (_config(run, seed=3), DATA)
    run.check(_config(run, seed=3), DATA, replicas=4)
    assert capsys.readouterr().out == ""


def test_other_libraries_and_threads_are_reported(run, capsys):
    run.claim(_config(run), DATA, numerics={"threads": "2", "oneDNN": "on"})
    run.check(_config(run), DATA, numerics={"threads": "2", "oneDNN": "on"})
    assert capsys.readouterr().out == ""
    path = run.directory / "config.json"
    path.write_text(re.sub('"keras": ".*?"', '"keras": "3.0.0"', path.read_text()))
    run.check(_config(run), DATA, numerics={"threads": "8", "oneDNN": "on"})
    out = capsys.readouterr().out
    assert out.startswith("warning: resuming with keras 3.")
    assert "(was 3.0.0), threads 8 (was 2): " in out and "to rounding, not bit for bit" in out


def test_without_shared_statistics_another_number_of_replicas_needs_consent(run):
    config = _config(run, sync_batch_norm=False)
    run.claim(config, DATA, replicas=1)
    run.check(config, DATA, replicas=1)
    with pytest.raises(UserError, match="replicas, which matter with --nosync.*was 1, is 2"):
        run.check(config, DATA, replicas=2)
    run.check(config, DATA, replicas=2, allow_change=True)


def _hold(directory, held, release):
    with Run(directory).locked():
        held.set()
        release.wait(20)


def test_a_second_trainer_is_refused_until_the_first_is_gone(run):
    context = multiprocessing.get_context("fork")
    held, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(run.directory, held, release))
    holder.start()
    assert held.wait(20)
    with pytest.raises(UserError, match="Another trainer"), run.locked():
        pass
    holder.kill()
    holder.join()
    with run.locked():
        pass


def test_latents_are_drawn_once(run):
    run.claim(_config(run), DATA)
    first = run.sample_latents(np.ones((2, 3), np.float32))
    again = run.sample_latents(np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    "content", [b"\x93NUMPY nonsense", b"", "scalar", "other shape", "objects"]
)
def test_damaged_latents_are_named(run, content):
    run.claim(_config(run), DATA)
    path = run.samples / "latents.npy"
    arrays = {"scalar": np.float32(1), "other shape": np.ones((2, 4)), "objects": np.array([{}])}
    if content in arrays:
        np.save(path, arrays[content], allow_pickle=True)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match="latents.npy is damaged"):
        run.sample_latents(np.ones((2, 3), np.float32))


def test_resuming_forgets_metrics_of_steps_to_be_done_again(run):
    run.claim(_config(run), DATA)
    for step in (10, 20, 30):
        run.append_metrics({"step": step})
    with open(run.metrics, "ab") as file:
        file.write(b'{"step": 40, "d_lo')  # truncated by a kill
    run.forget_after(20)
    assert [json.loads(line)["step"] for line in run.metrics.read_text().splitlines()] == [10, 20]
