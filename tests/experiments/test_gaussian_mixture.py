"""The Gaussian mixture: its data, the measures, the pictures and the command.

test_seeds_in_one_graph.py has the networks and the training.
"""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lsgan_tf.experiments import gaussian_mixture as mixture
from lsgan_tf.experiments.gaussian_mixture import MODES, coverage, draw_data, draw_density
from lsgan_tf.utils.errors import UserError
from tests import forking

GREENS_LIGHTEST, GREENS_DARKEST = (247, 252, 245), (0, 68, 27)  # of the colour map's definition


def _take(count, seeds):
    return list(mixture.batches(seeds).take(count).as_numpy_iterator())


# Data


def test_eight_modes_on_the_circle_from_the_top():
    half = 0.5**0.5
    expected = [(0, 1), (half, half), (1, 0), (half, -half), (0, -1), (-half, -half), (-1, 0)]
    np.testing.assert_allclose(MODES, [*expected, (-half, half)], atol=1e-6)


def test_the_top_mode_has_double_weight_and_all_are_narrow():
    points = draw_data(90_000, seed=0, block=0).numpy()
    distances = np.linalg.norm(points[:, None] - MODES, axis=2)
    nearest = distances.argmin(axis=1)
    counts = np.bincount(nearest, minlength=8)
    # Six standard deviations of a binomial count are below 600 and 800.
    assert abs(counts[0] - 20_000) < 800
    assert (abs(counts[1:] - 10_000) < 600).all()
    offsets = points - MODES[nearest]
    # The standard errors of a mean and a deviation over 90,000 are 0.01 / 300 and 0.01 / 424.
    np.testing.assert_allclose(offsets.mean(axis=0), 0.0, atol=2e-4)
    np.testing.assert_allclose(offsets.std(axis=0), 0.01, atol=2e-4)
    assert abs(np.corrcoef(offsets.T)[0, 1]) < 0.02


def test_data_are_a_function_of_seed_and_step(monkeypatch):
    monkeypatch.setattr(mixture, "BATCH_SIZE", 16)
    batches = _take(600, [4, 2])  # more than two blocks
    assert batches[0].shape == (16, 2, 2) and batches[0].dtype == np.float32
    np.testing.assert_array_equal(_take(600, [4, 2]), batches)
    np.testing.assert_array_equal(_take(600, [2]), np.stack(batches)[:, :, 1:])
    assert not np.array_equal(batches[0][:, 0], batches[0][:, 1])
    of_one_seed = np.stack(batches)[:, :, 0].reshape(-1, 2)
    assert len(np.unique(of_one_seed, axis=0)) > 0.999 * 600 * 16


# Measures


def test_coverage_by_hand():
    """25 points on the mode (0, 1), 19 on (1, 0), 30 beside (0, -1) by 0.05, 26 at the centre."""
    points = np.repeat([[0, 1.0], [1.0, 0.02], [0.05, -1.0], [0.0, 0.001]], [25, 19, 30, 26], 0)
    assert coverage(points) == {
        "modes_within_3_deviations": 1,  # (1, 0) has one too few, those of (0, -1) are too far
        "modes_within_0_1": 2,
        "share_within_3_deviations": 0.44,
        "share_within_0_1": 0.74,
        "nearest": [51, 0, 19, 0, 30, 0, 0, 0],
    }


def test_the_data_cover_themselves():
    measures = coverage(draw_data(5120, seed=1, block=0).numpy())
    assert measures["modes_within_3_deviations"] == measures["modes_within_0_1"] == 8
    # Of a two-dimensional normal 1 - exp(-9 / 2) = 0.98889 lie within three deviations; the
    # standard error is 0.0015.
    assert abs(measures["share_within_3_deviations"] - 0.98889) < 0.006
    assert measures["share_within_0_1"] == 1.0


def test_points_that_are_not_finite_cover_nothing():
    measures = coverage(np.full((100, 2), np.nan))
    assert measures["modes_within_0_1"] == measures["share_within_0_1"] == 0


@pytest.mark.parametrize(
    ("successes", "trials", "interval"),
    [
        (0, 10, (0.0, 0.2775)),  # z^2 / (n + z^2)
        (10, 10, (0.7225, 1.0)),
        (8, 10, (0.4902, 0.9433)),
        (81, 263, (0.2553, 0.3662)),  # Newcombe (1998), table I
    ],
)
def test_wilson_intervals(successes, trials, interval):
    np.testing.assert_allclose(mixture.wilson_interval(successes, trials), interval, atol=1e-4)


def test_the_table():
    rows = [
        {
            "objective": "sigmoid",
            "seed": seed,
            "step": step,
            "modes_within_3_deviations": 2,
            "modes_within_0_1": modes,
            "share_within_3_deviations": 0.1,
            "share_within_0_1": 0.25,
        }
        for step, found in ((0, (1, 8)), (5, (8, 3)))
        for seed, modes in zip((3, 7), found, strict=True)
    ]
    _, first, second, summary = mixture.table(rows).splitlines()
    assert first.split() == ["sigmoid", "3", "2", "8", "0.100", "0.250", "1", "8"]
    assert second.split() == ["sigmoid", "7", "2", "3", "0.100", "0.250", "8", "3"]
    assert summary == "all 8 within 0.1: 1 of 2, 95 % interval 9% to 91%"


# Pictures


def test_points_are_drawn_where_they_lie_dark_on_light():
    picture = draw_density(np.array([[2.0, -3.0]] * 10), side=64)
    assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8
    darkest = np.argwhere((picture == GREENS_DARKEST).all(axis=2))
    # Pixels of 1/8: x = 2 between columns 47 and 48, y = -3 between rows 55 and 56.
    assert {tuple(place) for place in darkest} == {(55, 47), (55, 48), (56, 47), (56, 48)}
    assert (picture[:40] == GREENS_LIGHTEST).all()


def _shade(share):
    """The colour of a share in [0, 1] of the maximum, by the definition of 30 equal steps."""
    import matplotlib

    number = min(int(share * 30), 29)
    return np.rint(np.array(matplotlib.colormaps["Greens"](number / 29)[:3]) * 255)


def test_one_point_is_one_kernel():
    """At 8 pixels of side 1 a lone point's kernel is as wide as a pixel: exp(-d^2 / 2)."""
    picture = draw_density(np.array([[0.5, 1.5]]), side=8).astype(int)
    x, y = 4, 2  # pixels' centres are at -3.5, -2.5, ...; rows go down from 3.5
    for row, column, share in (
        (y, x, 1.0),
        (y - 1, x, np.exp(-0.5)),
        (y, x - 1, np.exp(-0.5)),
        (y + 1, x + 2, np.exp(-2.5)),
    ):
        np.testing.assert_allclose(picture[row, column], _shade(share), atol=1)


def test_the_width_is_by_scotts_rule():
    """64 points of deviation 1 in x and 2 in y: widths 64^(-1/6) = 1/2 and 1."""
    points = np.array([[-1.0, -2.0], [1.0, 2.0]] * 32)
    picture = draw_density(points, side=32).astype(int)  # centres at 0.125, 0.375, ...

    def density(x, y):
        return sum(
            np.exp(-0.5 * (((x - at) / 0.5) ** 2 + ((y - 2 * at) / 1.0) ** 2)) for at in (-1, 1)
        )

    peak = density(0.875, 1.875)  # one of the four pixels at (1, 2)
    for x, y in ((1.125, 2.125), (1.125, 3.125), (1.625, 2.125), (0.125, 0.125), (2.625, 1.125)):
        row, column = round((3.875 - y) * 4), round((x + 3.875) * 4)
        np.testing.assert_allclose(
            picture[row, column], _shade(density(x, y) / peak), atol=1, err_msg=f"{x}, {y}"
        )


def test_what_cannot_be_drawn_is_left_out():
    points = np.array([[1.0, 1.0], [np.nan, 0.0], [np.inf, 0.0], [5.0, 0.0]])
    np.testing.assert_array_equal(draw_density(points), draw_density(points[:1]))
    assert (draw_density(points[1:]) == GREENS_LIGHTEST).all()


def test_a_title_is_written_on_top():
    titled, plain = (draw_density(np.zeros((10, 2)), title) for title in ("seed 3", ""))
    rows = np.unique(np.argwhere((titled != plain).any(axis=2))[:, 0])
    assert len(rows) and rows.max() < 20


# The command


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("7", [7]), ("0-4", [0, 1, 2, 3, 4]), ("5,0-2,1-3", [0, 1, 2, 3, 5]), ("9999", [9999])],
)
def test_seeds(text, seeds):
    assert mixture.parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "foo", "1,", "-1", "4-1", "0-1,4-1", "1-2-3", "0-256", "1.5"])
def test_what_are_no_seeds(text):
    with pytest.raises(UserError, match=f"^--seeds={text}: give 1 to 256 seeds"):
        mixture.parse_seeds(text)


def _run(*arguments):
    return forking.run("lsgan_tf.experiments.gaussian_mixture", *arguments)


def test_wrong_flags_are_a_sentence():
    result = _run("--seeds=foo")
    assert result.returncode == 1 and not result.stdout
    assert result.stderr == "error: --seeds=foo: give 1 to 256 seeds of 0..9999, such as 0-2,7\n"
    result = _run("--objective=wgan")
    assert result.returncode == 1 and "least_squares|pearson|sigmoid" in result.stderr


def test_the_module_alone_does_not_start_tensorflow():
    code = (
        "import sys, lsgan_tf.experiments.gaussian_mixture; sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_the_experiment_in_small(tmp_path):
    directory = tmp_path / "new" / "mixture"
    result = _run("--seeds=2,4", "--steps=3", "--snapshot_every=2", f"--output_dir={directory}")
    assert result.returncode == 0, result.stderr
    assert "all 8 within 0.1:" in result.stdout
    rows = [json.loads(line) for line in (directory / "modes.jsonl").read_text().splitlines()]
    places = [(row["objective"], row["step"], row["seed"]) for row in rows]
    runs = [(objective, step) for objective in ("least_squares", "sigmoid") for step in (0, 2, 3)]
    assert places == [(*run, seed) for run in runs for seed in (2, 4)]
    with np.load(directory / "sigmoid.npz", allow_pickle=False) as stored:
        assert stored["seeds"].tolist() == [2, 4] and stored["steps"].tolist() == [0, 2, 3]
        points = stored["points"]
    assert points.shape == (3, 2, 5120, 2)
    last = {
        key: value for key, value in rows[-1].items() if key not in ("objective", "seed", "step")
    }
    assert last == coverage(points[2, 1])
    # Tiles of 160 and gaps of 2; two rows: three snapshots and the data, and two seeds.
    assert Image.open(directory / "steps.png").size == (4 * 162 + 2, 2 * 162 + 2)
    assert Image.open(directory / "seeds.png").size == (2 * 162 + 2, 2 * 162 + 2)
    assert len(list(directory.iterdir())) == 5  # nothing temporary is left
