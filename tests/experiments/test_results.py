"""results.csv: what is written reads back, what is wrong is named, a full disk loses nothing."""

import errno
import multiprocessing
import os

import pytest

from lsgan_tf.experiments import results
from lsgan_tf.utils.errors import UserError
from tests.experiments.evidence import make_line


def test_lines_read_back_to_the_bit(tmp_path):
    path = tmp_path / "new" / "results.csv"
    lines = [make_line(last=0.1 + 0.2), make_line(seed=1, collapsed_at=40, flags='--a="x, y"')]
    results.append(path, lines[:1])
    results.append(path, lines)  # the first is there already
    assert results.read(path) == lines
    assert path.read_text().count("\n") == 3


def test_no_file_holds_no_lines(tmp_path):
    assert results.read(tmp_path / "results.csv") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [lines[0], "", lines[2]], "line 2 is empty. Restore the line, or remove it"),
        (lambda lines: [lines[0], lines[1][:40], lines[2]], "line 2 has 6 columns, not 20"),
        (lambda lines: [*lines, lines[1]], "line 4 is of the same run as line 2: tried/one-0"),
        (lambda lines: [lines[0].replace("best", "worst"), *lines[1:]], "line 1 must name the col"),
        (lambda lines: lines[1:], "line 1 must name the columns row,cell"),
        (lambda lines: [], "line 1 must name the columns row,cell"),
        (lambda lines: [lines[0], lines[1].replace("4.5", "good")], "line 2: best is 'good'"),
        (lambda lines: [lines[0], lines[1].replace("4.5", "nan")], "line 2 is damaged: best and"),
        (lambda lines: [lines[0], lines[1].replace(",0,100", ",0,1e2")], "line 2: steps is '1e2'"),
        (
            lambda lines: [lines[0], lines[1].replace('""recall"": 0.25', '""recall"": ""x""')],
            "line 2 is damaged: last_scores.recall must be of type float",
        ),
    ],
)
def test_a_wrong_line_is_named(change, message, tmp_path):
    path = tmp_path / "results.csv"
    results.append(path, [make_line(), make_line(seed=1)])
    path.write_text("".join(line + "\n" for line in change(path.read_text().splitlines())))
    before = path.read_bytes()
    with pytest.raises(UserError, match=f"results.csv, {message}"):
        results.append(path, [make_line(seed=2)])
    assert path.read_bytes() == before


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "results.csv"
    results.append(path, [make_line()])
    before = path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="no space left .* while writing .*results.csv"):
            results.append(path, [make_line(seed=1)])
    assert path.read_bytes() == before


def _append(path, seed):
    results.append(path, [make_line(seed=seed)])


def test_several_processes_add_their_lines(tmp_path):
    path = tmp_path / "results.csv"
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=_append, args=(path, seed)) for seed in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(line.seed for line in results.read(path)) == [0, 1, 2, 3]
