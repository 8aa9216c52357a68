"""python -m lsgan_tf.reproduce: what is missing is said, what is killed goes on, one line a run."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from lsgan_tf.experiments import check, jobs, machine, processes, results, row, runner
from lsgan_tf.experiments.jobs import Places
from lsgan_tf.experiments.processes import Stopped
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError
from tests import feature_networks
from tests.commands import run_command
from tests.experiments.evidence import PROTOCOL, TEXT, make_line, make_lines

TINY = """
title = "A row of seconds"
paper = "none"
where = "tests"
claim = "None."
dataset = "small"
prepare = "python -m tools.convert_images --source=X --output_dir=DATA_DIR/small"
seeds = 1
steps = 4

[[cells]]
name = "light"
recipe = "digits_shift"
flags = ["--network=light", "--batch_size=4", "--log_every=1", "--ema_decay=0"]

[protocol]
features = "means"
images = 20
checkpoints = 2
"""


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """The folder of rows, with `tiny` alone."""
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "tiny.toml").write_text(TINY)
    monkeypatch.setattr(row, "ROWS", folder)
    return folder


@pytest.fixture
def places(data_dir, tmp_path):
    (data_dir / "features").mkdir(exist_ok=True)
    if not (data_dir / "features" / "means").exists():
        feature_networks.saved_model(
            data_dir / "features" / "means", feature_networks.channel_means
        )
    return Places(data_dir, tmp_path / "runs", tmp_path / "docs" / "results.csv")


def _start(places, rows):
    """Runs the row `tiny` in a process of its own."""
    code = (
        "from pathlib import Path; from lsgan_tf.experiments import jobs, row, runner; "
        f"row.ROWS, *places = map(Path, {[str(rows), *map(str, places)]}); "
        "runner.run_row(row.read('tiny'), jobs.Places(*places), 1, 4)"
    )
    return subprocess.Popen([sys.executable, "-c", code], start_new_session=True)


def _wait_until_free(run):
    """A trainer that is killed holds its directory until it is gone."""
    while True:
        with contextlib.suppress(UserError), run.locked():
            return
        time.sleep(0.05)


@pytest.mark.stress
def test_a_row_killed_half_way_goes_on_and_has_one_line(places, rows):
    run = Run(places.runs_dir / "tiny" / "light-0")
    process = _start(places, rows)
    while not (run.checkpoints / "step-2.index").exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _wait_until_free(run)
    assert not places.results.exists()
    one = row.read("tiny")
    runner.run_row(one, places, 1, 4)
    (line,) = results.read(places.results)
    assert (line.run, line.steps, line.score) == ("tiny/light-0", 4, "FID-3")
    assert line.best_step in (2, 4) and line.seconds > 0
    assert line.protocol["features"] == "means" and line.protocol["generated"] == 20
    assert "resuming" in (places.runs_dir / "tiny" / "light-0.log").read_text()
    assert (places.results.parent / line.log).exists()
    assert {path.name.split(".")[0] for path in run.checkpoints.iterdir()} == {"step-4"}
    runner.run_row(one, places, 1, 4)  # nothing is missing
    assert results.read(places.results) == [line]


def test_a_run_that_another_process_holds_is_left_to_it(places, rows, capsys):
    (job,) = jobs.of_row(row.read("tiny"), 1, 4, places.runs_dir)
    with jobs.locked(job.directory.with_name(".light-0.lock")):
        runner.run_row(job.row, places, 1, 4)
    assert capsys.readouterr().out == "tiny/light-0: another process is at it\n"
    with Run(job.directory).locked():  # a trainer that outlived the process that started it
        runner.run_row(job.row, places, 1, 4)
    assert "another process is at it" in capsys.readouterr().out
    assert not places.results.exists()


def test_a_run_that_fails_does_not_keep_the_others_back(places, rows, capsys):
    text = TINY.replace("--batch_size=4", "--batch_size=few").replace("seeds = 1", "seeds = 2")
    (rows / "tiny.toml").write_text(text)
    with pytest.raises(UserError, match="2 runs of row tiny failed: tiny/light-0, tiny/light-1"):
        runner.run_row(row.read("tiny"), places, 2, 4)
    out = capsys.readouterr().out
    assert "tiny/light-1: lsgan_tf.train failed: flag --batch_size=few" in out
    assert f"The whole log is {places.runs_dir}/tiny/light-1.log." in out


def test_a_signal_ends_the_row_and_its_commands(places, rows, monkeypatch):
    wait, ended = processes._wait, []

    def interrupted(process, stop):
        signal.raise_signal(signal.SIGTERM)
        ended.append(wait(process, stop))

    monkeypatch.setattr(processes, "_wait", interrupted)
    with pytest.raises(Stopped, match="nothing is lost: the same command goes on from here"):
        runner.run_row(row.read("tiny"), places, 1, 4)
    assert ended in ([-signal.SIGTERM], [0])  # before or after it began to note signals


def test_missing_data_are_named_with_the_command_that_makes_them(places, rows, tmp_path):
    empty = places._replace(data_dir=tmp_path / "empty")
    with pytest.raises(UserError, match="needs the data set small, which is not in .*empty") as e:
        runner.run_row(row.read("tiny"), empty, 1, 4)
    assert f"convert_images --source=X --output_dir={tmp_path}/empty/small" in str(e.value)
    (rows / "tiny.toml").write_text(TINY.replace('"means"', '"gone"'))
    with pytest.raises(UserError, match="the features of .*features/gone, which is missing"):
        runner.run_row(row.read("tiny"), places, 1, 4)


def test_a_damaged_csv_is_refused_before_anything_is_trained(places, rows):
    places.results.parent.mkdir()
    places.results.write_text("")
    with pytest.raises(UserError, match="results.csv, line 1 must name the columns"):
        runner.run_row(row.read("tiny"), places, 1, 4)
    assert not places.runs_dir.exists()


def test_a_row_that_is_whole_says_so_and_needs_no_data(places, rows, capsys):
    results.append(places.results, [make_line(row="tiny", cell="light", steps=4)])
    runner.run_row(row.read("tiny"), places._replace(data_dir=places.runs_dir), 1, 4)
    out = capsys.readouterr().out
    assert f"row tiny: all 1 runs of 4 steps are in {places.results}." in out
    assert "--results=OTHER.csv begins a table of your own" in out


def test_another_feature_network_than_of_the_runs_there_is_refused(places, rows, tmp_path):
    also = '[also]\nfeatures = "classifier"\nimages = 20\n'
    (rows / "tiny.toml").write_text(f"{TINY}\n{also}")
    places = places._replace(data_dir=shutil.copytree(places.data_dir, tmp_path / "data"))
    means = files.sha256_of(places.data_dir / "features" / "means")
    model = places.data_dir / "classifiers" / "small.keras"
    model.parent.mkdir()
    model.with_suffix(".json").write_text('{"sha256": "cd"}')
    protocol = {**PROTOCOL, "sha256": means, "also": {"sha256": "ab"}}
    line = make_line(row="tiny", cell="light", steps=4, protocol=protocol)
    results.append(places.results, [line])
    with pytest.raises(UserError, match="tiny/light-0 in .* with features of sha256 ab;") as error:
        runner.run_row(row.read("tiny"), places, 2, 4)
    assert f"{model} is cd." in str(error.value)
    assert "--results=OTHER.csv" in str(error.value)
    assert not (places.runs_dir / "tiny" / "light-1").exists()
    model.with_suffix(".json").write_text("{}")
    with pytest.raises(UserError, match="small.json is damaged .* --dataset=small"):
        runner.run_row(row.read("tiny"), places, 2, 4)


def test_the_jobs_of_a_row(tmp_path):
    one = row.read("mixture")
    names = [job.directory.name for job in jobs.of_row(one, 12, one.steps, tmp_path)]
    assert names == ["lsgan-0-9", "gan-0-9", "lsgan-10-11", "gan-10-11"]
    report = row.read("report_fashion")
    made = jobs.of_row(report, 2, 5, tmp_path)
    assert [job.seeds for job in made] == [(0,)] * 7 + [(1,)] * 7
    assert made[0].directory == tmp_path / "report_fashion" / "gan_no_bn-0-steps5"


# Checking a line


@pytest.fixture
def repeated(places, rows, monkeypatch):
    """Makes `check` find these lines, and what their runs give again."""
    (rows / "tried.toml").write_text(TEXT)
    monkeypatch.setattr(machine, "commit", lambda: "c0ffee")
    monkeypatch.setattr(machine, "processor", lambda: "A, 1 core")
    monkeypatch.setattr(machine, "versions", lambda: "python 3")
    monkeypatch.setattr(jobs, "make_classifier", lambda *_: None)

    def repeat(lines, again):
        results.append(places.results, lines)
        monkeypatch.setattr(runner, "run_job", lambda *_: [again])
        return check.check("tried/one-0", places)

    return repeat


@pytest.mark.parametrize(
    ("change", "agrees"),
    [({}, True), ({"last": 5.000001}, False), ({"checkpoint_sha256": "ee"}, False)],
)
def test_on_the_same_machine_the_bits_must_be_equal(change, agrees, repeated, capsys):
    assert repeated([make_line()], make_line(**change)) == agrees
    out = capsys.readouterr().out
    assert "must be equal to the bit" in out and ("NOT reproduced" in out) == (not agrees)


@pytest.mark.parametrize(("sha256", "agrees"), [("cd" * 32, True), ("ee", False)])
def test_by_other_features_the_checkpoint_alone_is_compared(sha256, agrees, repeated, capsys):
    protocol = {**PROTOCOL, "sha256": "ef" * 32}
    again = make_line(last=5.1, protocol=protocol, checkpoint_sha256=sha256)
    assert repeated([make_line()], again) == agrees
    out = capsys.readouterr().out
    assert "the features are others than the line's (abababababab and efefefefefef)" in out
    assert "the checkpoint must be equal to the bit" in out and "last" not in out


@pytest.mark.parametrize(("value", "agrees"), [(7.9, True), (8.1, False), (1.9, False)])
def test_elsewhere_the_score_must_lie_within_three_deviations(value, agrees, repeated, capsys):
    lines = make_lines("one", [4.0, 5.0, 6.0], processor="B")
    protocol = {**PROTOCOL, "sha256": "ef" * 32}
    assert repeated(lines, make_line(last=value, protocol=protocol)) == agrees
    out = capsys.readouterr().out
    assert "3 standard deviations of the mean of 3 seeds" in out
    assert "the features are others than the line's (abababababab and efefefefefef)" in out


def test_without_another_seed_there_is_no_spread(repeated):
    with pytest.raises(UserError, match="Run a second seed first"):
        repeated([make_line(commit="c0ffee-dirty")], make_line())


def test_a_line_that_is_not_there(repeated):
    with pytest.raises(UserError, match="no line of tried/one-0 with 100 steps; .* tried/one-1"):
        repeated([make_line(seed=1)], make_line())


# The command


def test_mistakes_are_sentences():
    for arguments, message in (
        ((), "say what to do: --list, --row=NAME"),
        (("--row=fashion",), "there is no row 'fashion'; there are: characters"),
        (("--check=smoke/lsgan-0", "--results=/nowhere/results.csv"), "it has: none."),
        (("--report", "--results=x.txt"), "--results=x.txt must end in .csv."),
        (("--row=smoke", "--steps=-1"), "--steps"),
    ):
        done = run_command("reproduce", *arguments)
        assert done.returncode == 1 and message in done.stderr, done.stderr


def test_the_list_shows_what_is_there_of_each_row(tmp_path):
    path = tmp_path / "results.csv"
    results.append(path, [make_line(row="smoke", cell="lsgan", steps=row.read("smoke").steps)])
    done = run_command("reproduce", "--list", f"--results={path}")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "  1 of 2 runs are there" in lines[lines.index("smoke: none, continuous integration") :]
    assert "  2 cells, 30 seeds, 35,000 steps of the original's 35,000; " in done.stdout
    assert {f"{name}:" for name in row.names()} <= {line.split(" ")[0] for line in lines}


def test_the_command_does_not_start_tensorflow():
    code = "import sys, lsgan_tf.reproduce; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
