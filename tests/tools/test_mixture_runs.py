"""The mixture experiment in small: what it writes, what it does not repeat, what it refuses."""

import json
import re

import numpy as np
import pytest
from absl import flags
from PIL import Image

from lsgan_tf.config import RECIPES
from lsgan_tf.utils.errors import UserError
from tools import mixture_runs


@pytest.fixture
def run(monkeypatch, tmp_path):
    def call(**arguments):
        if not flags.FLAGS.is_parsed():
            flags.FLAGS(["test"])
        settings = {"work_dir": str(tmp_path), "seeds": 1, "train_steps": 3, "snapshot_every": 2}
        with monkeypatch.context() as patch:
            for name, value in {**settings, **arguments}.items():
                patch.setattr(flags.FLAGS[name], "value", value)
            patch.setattr(mixture_runs, "SETTINGS", {**mixture_runs.SETTINGS, "batch_size": 8})
            mixture_runs.main()
        return tmp_path

    return call


def test_the_experiment_in_small(run, capsys, monkeypatch):
    directory = run()
    assert "lsgan-0" in capsys.readouterr().out
    results = json.loads((directory / "results.json").read_text())
    assert [(r["objective"], r["seed"]) for r in results] == [("lsgan", 0), ("gan", 0)]
    for result in results:
        assert [snapshot["step"] for snapshot in result["snapshots"]] == [0, 2, 3]
        assert all(sum(snapshot["nearest"]) == 5120 for snapshot in result["snapshots"])
    assert results[0]["config"]["objective"] == "least_squares"
    with np.load(directory / "lsgan-0.npz", allow_pickle=False) as stored:
        points = stored["points"]
    assert points.shape == (3, 5120, 2)
    assert not np.array_equal(points[0], points[1])
    # Tiles of 160, gaps of 2, a header of 20: two rows; three snapshots or a seed, and the data.
    assert Image.open(directory / "mixture_density.png").size == (4 * 162 + 22, 2 * 162 + 22)
    assert Image.open(directory / "mixture_seeds.png").size == (2 * 162 + 22, 2 * 162 + 22)

    monkeypatch.setattr(mixture_runs, "train", None)  # a finished run is not repeated
    run()
    with pytest.raises(UserError, match=r"snapshots of steps \[0, 2, 3\], not \[0, 2, 4\]"):
        run(train_steps=4)


def test_a_work_dir_is_needed(run):
    with pytest.raises(UserError, match="--work_dir is missing"):
        run(work_dir="")


def test_the_snapshots():
    assert mixture_runs._snapshot_steps(35_000, 5_000) == list(range(0, 35_001, 5_000))
    assert mixture_runs._snapshot_steps(7, 5) == [0, 5, 7]


@pytest.mark.parametrize(("recipe", "name"), [("mixture", "lsgan"), ("mixture_gan", "gan")])
def test_the_settings_are_the_recipes(recipe, name):
    text = (RECIPES / f"{recipe}.flags").read_text(encoding="utf-8")
    given = dict(re.findall(r"^--(\w+)=(\S+)$", text, re.MULTILINE))
    expected = vars(mixture_runs._config(name, 0))
    for flag in (*mixture_runs.SETTINGS, "label_a", "label_b", "label_c", "beta_1", "optimizer"):
        value = given.get(flag)
        if value is not None:
            assert type(expected[flag])(value) == expected[flag], flag
    assert {*mixture_runs.SETTINGS, "beta_1"} <= given.keys()
    if name == "gan":
        assert given["objective"] == expected["objective"]
