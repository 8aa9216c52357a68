"""Runs side by side: what compares with what, which value is best, and the picture."""

import io

import numpy as np
import pytest
from PIL import Image

from lsgan_tf.config import Config
from lsgan_tf.runs import comparison
from lsgan_tf.runs.run_directory import DataFacts, Run
from lsgan_tf.utils.errors import UserError

EXTRACTOR = {"name": "classifier", "sha256": "ab" * 32, "dtype": "float32", "dimension": 4}
REFERENCE = {"dataset": "small", "fingerprint": "f00d" * 4, "split": "train", "images": 50}
PROTOCOL = {"extractor": EXTRACTOR, "reference": REFERENCE, "settings": {"seed": 0}, "count": 40}
FID = {"score": "fid", "title": "FID-4"}
RECALL = {"score": "recall", "title": "recall"}
REAL = {"images": "real (test)", "weights": None}
BLUE, ORANGE, GREY = (0, 114, 178), (213, 94, 0), (107, 107, 107)


def _line(step, value, **changes):
    facts = {"step": step, "value": value, "images": "generated", "weights": "ema"}
    return {**FID, **facts, **PROTOCOL, "versions": {}, "time": 0.5, **changes}


@pytest.fixture
def make(tmp_path):
    """Makes a run of that name with these lines in scores.jsonl."""

    def run(name, *lines):
        made = Run(tmp_path / name)
        config = Config(dataset="small", run_dir=str(made.directory))
        made.claim(config, DataFacts((8, 8, 1), 50, None, "f00d"))
        made.append_scores(lines)
        return made

    return run


def _words(lines):
    return [line.split() for line in lines]


def test_the_best_of_each_column_is_marked_and_real_images_come_last(make):
    first = make(
        "first",
        _line(20, 3.0),
        _line(None, 1.0, **REAL),
        _line(10, 5.0, std=0.25),
        _line(20, 0.5, **RECALL),
        _line(10, 0.75, **RECALL),
    )
    second = make("second", _line(10, 2.5), _line(10, 0.125, **RECALL))
    assert _words(comparison.table([first, second])) == [
        ["40", "images", "vs", "50", "of", "small", "train,", "classifier,", "float32"],
        ["run", "step", "weights", "FID-4", "↓", "recall", "↑"],
        ["first", "10", "ema", "5", "±", "0.25", "0.75*"],
        ["first", "20", "ema", "3", "0.5"],
        ["second", "10", "ema", "2.5*", "0.125"],
        ["first", "floor", "real", "(test)", "1", "-"],
    ]


def test_columns_stand_under_each_other(make):
    lines = comparison.table([make("a_long_name", _line(5, 1.0)), make("b", _line(5, 2.0))])
    assert len({line.index(text) for line, text in zip(lines[2:], ("1*", "2"), strict=True)}) == 1


def test_a_score_that_was_taken_again_counts_once(make):
    lines = comparison.table([make("run", _line(10, 5.0), _line(10, 4.0, time=1.5, versions={}))])
    assert _words(lines[2:]) == [["run", "10", "ema", "4*"]]


def test_weights_and_precisions_of_one_step_have_rows_of_their_own(make):
    run = make(
        "run",
        _line(10, 5.0, weights="raw"),
        _line(10, 4.0),
        _line(10, 4.5, generator_dtype="mixed_bfloat16"),
    )
    assert _words(comparison.table([run])[2:]) == [
        ["run", "10", "ema", "4*"],
        ["run", "10", "ema,", "mixed_bfloat16", "4.5"],
        ["run", "10", "raw", "5"],
    ]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"extractor": {**EXTRACTOR, "name": "other"}}, "other, float32"),
        ({"extractor": {**EXTRACTOR, "sha256": "cd" * 32}}, "sha256 cdcdcdcdcdcd"),
        ({"extractor": {**EXTRACTOR, "dtype": "bfloat16"}}, "classifier, bfloat16"),
        ({"reference": {**REFERENCE, "dataset": "tiny"}}, "50 of tiny train"),
        ({"reference": {**REFERENCE, "fingerprint": "beef"}}, "fingerprint beef"),
        ({"reference": {**REFERENCE, "split": "test"}}, "50 of small test"),
        ({"reference": {**REFERENCE, "images": 49}}, "49 of small train"),
        ({"settings": {"seed": 1}}, "seed 1"),
        ({"count": 1234}, "1,234 images"),
    ],
)
def test_what_changes_a_number_makes_a_table_of_its_own(make, changes, difference):
    lines = comparison.table([make("a", _line(1, 2.0)), make("b", _line(1, 1.0, **changes))])
    first, second, note = (list(part) for part in _split(lines))
    assert _words(first[1:])[1] == ["a", "1", "ema", "2*"]
    assert _words(second[1:])[1] == ["b", "1", "ema", "1*"]
    assert difference in second[0] and difference not in first[0]
    assert note[0].startswith("No protocol is shared by all runs")


def _split(lines):
    return (part.split("\n") for part in "\n".join(lines).split("\n\n"))


def test_what_changes_no_number_makes_none(make):
    other = {"versions": {"numpy": "9"}, "time": 9, "weights": "raw"}
    measured = {"extractor": {**EXTRACTOR, "test_accuracy": 0.5}}
    runs = make("a", _line(1, 2.0)), make("b", _line(2, 1.0, **other, **measured))
    assert len(comparison.table(runs)) == 4


def test_the_protocol_of_most_runs_comes_first_and_one_of_all_needs_no_note(make):
    lonely = [_line(step, 9.0, count=10) for step in range(5)]
    runs = make("a", *lonely, _line(1, 2.0)), make("b", _line(1, 1.0))
    first, second = (list(part) for part in _split(comparison.table(runs)))
    assert first[0].startswith("40 images") and second[0].startswith("10 images")


def test_runs_of_one_name_are_told_apart_by_what_is_above(make):
    runs = [make(name, _line(1, 1.0)) for name in ("x/same/run", "y/same/run", "y/other")]
    assert [words[0] for words in _words(comparison.table(runs)[2:])] == [
        "x/same/run",
        "y/same/run",
        "other",
    ]


def test_a_run_that_is_named_twice_is_one(make):
    run = make("run", _line(1, 1.0))
    again = Run(run.directory / ".." / "run")
    assert _words(comparison.table([run, again])[2:]) == [["run", "1", "ema", "1*"]]


def test_numbers_that_are_not_finite_are_shown_and_never_best(make):
    run = make("run", _line(1, float("nan")), _line(2, float("-inf")), _line(3, 7.0))
    values = [words[-1] for words in _words(comparison.table([run])[2:])]
    assert values == ["nan", "-inf", "7*"]


def test_what_a_terminal_would_obey_is_shown(make):
    hostile = {"title": "FID\x1b[31m\n", "extractor": {**EXTRACTOR, "name": "\x9b\n"}}
    lines = comparison.table([make("run", _line(1, 1.0, **hostile))])
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
    assert "FID\\x1b[31m\\n" in lines[1]


def test_what_is_no_run_or_has_no_scores_is_refused(make, tmp_path):
    run = make("run", _line(1, 1.0))
    bare = make("bare", _line(None, 1.0, **REAL))
    with pytest.raises(UserError) as refusal:
        comparison.table([run, bare])
    command = f"python -m lsgan_tf.evaluate --run_dir={bare.directory}"
    assert str(refusal.value) == f"{bare.directory} has no scores yet; run {command}"
    with pytest.raises(UserError, match="not a run directory"):
        comparison.write_curves([run, Run(tmp_path / "none")], tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def _colours(path):
    """{colour: its rows in the picture}."""
    picture = np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))
    return {
        colour: np.flatnonzero((picture == colour).all(axis=-1).any(axis=1))
        for colour in (BLUE, ORANGE, GREY)
    }


def test_the_picture_has_a_line_for_each_run_and_the_floor(make, tmp_path):
    first = make("_a$b", *(_line(step, 9.0 + step) for step in range(4)), _line(None, 1.0, **REAL))
    second = make("b", *(_line(step, 3.0 + step, **RECALL) for step in range(4)))
    path = tmp_path / "curves.png"
    path.write_bytes(b"an earlier one")
    assert comparison.write_curves([first, second], path) == path
    assert all(len(rows) for rows in _colours(path).values())
    assert {entry.name for entry in tmp_path.iterdir()} == {"_a$b", "b", "curves.png"}


def test_only_the_protocol_of_most_runs_is_drawn(make, tmp_path):
    lonely = [_line(step, 9.0, count=10) for step in range(5)]
    extra = make("extra", *lonely)
    runs = [extra, make("a", _line(1, 2.0)), make("b", _line(1, 1.0), _line(None, 0.5, count=9))]
    comparison.write_curves(runs, tmp_path / "curves.png")
    rows = _colours(tmp_path / "curves.png")
    assert len(rows[BLUE]) and len(rows[ORANGE])
    comparison.write_curves([extra], tmp_path / "curves.png")
    rows = _colours(tmp_path / "curves.png")
    assert len(rows[BLUE]) and not len(rows[ORANGE])


def test_numbers_that_cannot_be_drawn_are_left_out(make, tmp_path):
    values = (float("nan"), float("inf"), 1e308, -1e308, 2.0)
    run = make("run", *(_line(step, value) for step, value in enumerate(values)))
    comparison.write_curves([run], tmp_path / "curves.png")
    assert len(_colours(tmp_path / "curves.png")[BLUE])


def test_a_place_that_is_not_there_is_named(make, tmp_path):
    with pytest.raises(UserError, match=r"none.curves\.png"):
        comparison.write_curves([make("run", _line(1, 1.0))], tmp_path / "none" / "curves.png")
