"""The rows: those that there are, and files that are not right."""

import re

import pytest

from lsgan_tf.experiments import row
from lsgan_tf.experiments.row import MIXTURE, RECIPE
from lsgan_tf.utils.errors import UserError
from tests.experiments.evidence import TEXT, make_row


@pytest.mark.parametrize("name", row.names())
def test_every_row_can_be_read_and_states_its_claim(name):
    one = row.read(name)
    assert one.name == name and one.claim.endswith(".") and one.title and one.where
    if one.runner != row.NO_RUNS:
        assert one.cost and one.deviations or name == "smoke"
    if one.runner == RECIPE and one.prepare:
        assert f"--output_dir=DATA_DIR/{one.dataset}" in one.prepare


def test_the_claims_of_the_papers_have_their_rows():
    assert {"mixture", "report_fashion", "sigmoid_head", "small_variability", "stability"} <= set(
        row.names()
    )
    assert {"cifar10", "characters", "gp", "theory", "smoke"} <= set(row.names())


def test_a_file_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(row, "ROWS", tmp_path)
    (tmp_path / "tried.toml").write_text(TEXT)
    one = row.read("tried")
    assert one.runner == RECIPE and [cell.name for cell in one.cells] == ["one", "other"]
    assert one.cell("other").published == "66.73" and one.direction == -1
    with pytest.raises(UserError, match="row tried has no cell 'third'; it has: one, other."):
        one.cell("third")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "A row"', 'titel = "A row"', "titel is not a known field"),
        ('claim = "One is better than the other."', "", "claim is missing"),
        ("seeds = 3", 'seeds = "3"', "seeds must be of type int, not '3'"),
        ("seeds = 3", "seeds = 0", "seeds and steps must be 1 or more"),
        ("steps = 100", "steps = 1.5", "steps must be of type int"),
        ('"digits_shift_gan"', '"digits_gan"', "recipe of cell other: 'digits_gan' is unknown"),
        ('name = "other"', 'name = "one"', "the cell 'one' is named twice"),
        ('name = "other"', 'name = "../x"', "the cell '../x' is named twice or has no name"),
        ('than = "other"', 'than = "third"', "expect: 'third' is unknown; known: one, other"),
        ('than = "other"', "learn = []", "give better and than, or learn"),
        ('features = "classifier"', 'features = "../x"', "features '../x' is not a name"),
        ("images = 50", "images = 1", "images must be 2 or more"),
        ("[collapse]", "[colapse]", "colapse is not a known field"),
        ("ratio = 2.0", 'ratio = "2"', "collapse.ratio must be of type float"),
        ("seeds = 3", 'seeds = 3\nrunner = "shell"', "runner: 'shell' is unknown"),
        ("seeds = 3", 'seeds = 3\nscore = "beauty"', "score: 'beauty' is unknown"),
        ('dataset = "digits_shift"', "", "dataset and protocol are missing"),
        ("seeds = 3", "seeds = ", "is not TOML"),
    ],
)
def test_a_wrong_file_is_named_with_its_field(old, new, message, tmp_path, monkeypatch):
    monkeypatch.setattr(row, "ROWS", tmp_path)
    assert old in TEXT
    (tmp_path / "tried.toml").write_text(TEXT.replace(old, new, 1))
    with pytest.raises(UserError, match=f"tried.toml .*{re.escape(message)}"):
        row.read("tried")


def test_an_unknown_row_lists_those_there_are():
    with pytest.raises(UserError, match=r"there is no row 'fashion'; there are: .*report_fashion"):
        row.read("fashion")


def test_a_mixture_has_no_recipe_to_look_for():
    cell = row.Cell("lsgan", "least_squares")
    assert make_row(runner=MIXTURE, score="modes", cells=(cell,), expect=()).direction == 1
