"""Progress moves on a terminal and does not fill a log file."""

import itertools
import sys

import pytest

from lsgan_tf.utils import progress


def _reports(seconds_each, capsys, monkeypatch):
    """How often a bar of a thousand steps is written, and what."""
    clock = itertools.count(0.0, seconds_each)
    monkeypatch.setattr("tqdm.std.time", lambda: next(clock))
    for _ in progress.bar(range(1000), desc="work"):
        pass
    written = capsys.readouterr().err
    return written.count("\r"), written


def test_a_terminal_sees_it_move(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    count, written = _reports(0.2, capsys, monkeypatch)
    assert count > 100
    assert "work: 100%" in written


@pytest.mark.parametrize(("seconds_each", "reports"), [(0.05, 0), (0.3, 5), (3.0, 50)])
def test_a_log_gets_a_report_a_minute_after_the_first(seconds_each, reports, capsys, monkeypatch):
    count, _ = _reports(seconds_each, capsys, monkeypatch)
    assert reports <= count <= 1.5 * reports + 1
