"""The commands of a row: their logs, their errors, and what a signal does to them."""

import pytest

from lsgan_tf.experiments import processes
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.signals import StopRequest

EVALUATE = ("evaluate", ["--run_dir=/nowhere"])


def test_an_error_is_repeated_and_the_log_is_kept(tmp_path):
    log = tmp_path / "new" / "run.log"
    for _ in range(2):
        with pytest.raises(UserError, match="lsgan_tf.evaluate failed: /nowhere is not a run dir"):
            processes.run(*EVALUATE, log, StopRequest())
    assert log.read_text().count("error: /nowhere is not a run directory") == 2


def test_a_process_that_says_nothing_does_not_repeat_an_older_error(tmp_path, monkeypatch):
    log = tmp_path / "run.log"
    log.write_text("error: of another time\n")
    monkeypatch.setattr(processes.sys, "executable", "false")
    with pytest.raises(UserError, match=f"failed: it ended with status 1. The whole log is {log}"):
        processes.run(*EVALUATE, log, StopRequest())


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "run.log").mkdir()
    with pytest.raises(UserError, match="while writing .*run.log: "):
        processes.run(*EVALUATE, tmp_path / "run.log", StopRequest())
