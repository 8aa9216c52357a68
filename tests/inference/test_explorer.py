"""What the demo's page does, without a browser: the numbers and pictures that it shows."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lsgan_tf.inference import explorer, load, sampler, serving
from lsgan_tf.inference.explorer import Explorer
from lsgan_tf.utils.errors import UserError
from tests.tiny import TinyGenerator


@pytest.fixture(scope="module", params=["plain", "conditional"])
def trained(request, trained_once):
    flags = {"conditional": True} if request.param == "conditional" else {"ema_decay": 0.5}
    trained = load.load(trained_once(**flags).run_dir)
    for variable in trained.generator.trainable_variables:
        variable.assign(30.0 * variable)  # after twelve steps all images are grey
    return trained


@pytest.fixture(scope="module")
def explored(trained):
    return Explorer(serving.Server(trained.generator, trained.class_names).signatures())


def test_pictures_are_those_of_the_sampler(trained, explored, tmp_path):
    generator, names = trained.generator, trained.class_names
    serving.write(serving.Server(generator, names), tmp_path / "1")
    of_saved = Explorer(tf.saved_model.load(str(tmp_path / "1")).signatures)
    z = sampler.draw_latents(generator, 5, seed=7) * np.float32(0.5)
    labels = np.arange(5) % 3 if names else None
    expected = sampler.Sampler(generator)(z, labels).astype(int)
    for either in (explored, of_saved):
        drawn = either.draw(5, 7, truncation=0.5)
        np.testing.assert_array_equal(drawn.z, z)
        assert np.abs(either.pictures(drawn) - expected).max() <= 1
        assert either.class_names == (names or ())
    if names:
        assert explored.draw(5, 7, label=2).labels.tolist() == [2] * 5


def test_a_walk_passes_what_is_kept(explored):
    drawn = explored.draw(3, 0)
    kept = explored.nothing
    for index in (0, 2, 1):
        kept = kept.and_one(drawn.at(index))
    walk = explored.walk(kept, 6)
    assert len(walk.z) == 12
    pictures, ends = explored.pictures(walk), explored.pictures(kept)
    for frame, end in ((0, 0), (5, 1), (6, 1), (11, 2)):
        assert np.abs(pictures[frame].astype(int) - ends[end]).max() <= 1
    if explored.class_names:
        assert walk.labels.tolist() == [0] * 3 + [2] * 6 + [1] * 3


def test_the_directions_of_a_linear_generator_are_those_known_by_hand():
    """Three latents; the second one counts most, the first least."""
    rng = np.random.default_rng(0)
    scales = np.diag([0.5, 3.0, 1.0])
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]  # latents -> axes of the pictures
    places = np.linalg.qr(rng.normal(size=(20, 3)))[0].T  # those axes in pictures of 4 x 5
    z = rng.uniform(
        -1, 1, (40, 3)
    )  # few, and by chance correlated: the result is exact all the same
    pictures = 0.3 + (z @ turn @ scales @ places).reshape(40, 4, 5, 1)
    found = explorer.principal_directions([(z[:9], pictures[:9]), (z[9:], pictures[9:])], count=2)
    for direction, known in zip(found, turn.T[[1, 2]], strict=True):
        np.testing.assert_allclose(
            direction, known * np.sign(known[np.abs(known).argmax()]), atol=1e-6
        )


def test_a_slider_moves_by_standard_deviations_along_a_direction(explored):
    latent = explored.draw(2, 1).at(1)
    directions = explored.directions(int(latent.labels[0]))
    assert directions.shape == (5, 5)  # no more than latents
    np.testing.assert_allclose(directions @ directions.T, np.eye(5), atol=1e-5)
    moved = explored.move(latent, [0.0, -2.0, 0, 0, 0, 0])
    np.testing.assert_allclose(moved.z[0], latent.z[0] - 2 / 3**0.5 * directions[1], rtol=1e-5)
    assert explored.move(latent, [0.0] * 6) is latent


def test_the_first_direction_changes_pictures_more_than_the_last(explored):
    latents = explored.draw(32, 5, label=0)
    directions = explored.directions(0)
    before = explored.pictures(latents).astype(float)
    change = [
        np.square(explored.pictures(latents._replace(z=latents.z + 0.2 * way)) - before).mean()
        for way in directions
    ]
    assert change[0] == max(change) > 1.2 * min(change)


def test_what_is_kept_is_written(explored, tmp_path):
    drawn = explored.draw(2, 3)
    kept = explored.nothing.and_one(drawn.at(1)).and_one(drawn.at(0))
    png, npz, gif = explored.write(kept, 4, tmp_path)
    grid = np.asarray(Image.open(png))
    np.testing.assert_array_equal(grid[2:10, 2:10], explored.pictures(kept)[0, ..., 0])
    with np.load(npz) as stored:
        np.testing.assert_array_equal(stored["latents"], drawn.z[::-1])
        assert stored["labels"].tolist() == kept.labels.tolist()
    assert Image.open(gif).n_frames > 1
    assert len(explored.write(drawn.at(0), 4, tmp_path)) == 2


def test_what_is_out_of_range_is_refused_in_a_sentence(explored):
    for count, seed, truncation, label, message in (
        (0, 0, 1.0, -1, "number of pictures must be a whole number from 1 to 64"),
        (10**9, 0, 1.0, -1, "number of pictures must be"),
        (2.5, 0, 1.0, -1, "number of pictures must be"),
        (None, 0, 1.0, -1, "number of pictures must be"),
        ("x", 0, 1.0, -1, "number of pictures must be"),
        (1, -1, 1.0, -1, "seed must be a whole number from 0 to 9,007,199,254,740,991"),
        (1, 2**64, 1.0, -1, "seed must be"),
        (1, 0, float("nan"), -1, "Truncation must be a number from 0.0 to 1.0"),
        (1, 0, 1.0, 3, "The class must be"),
    ):
        with pytest.raises(UserError, match=message):
            explored.draw(count, seed, truncation, label)
    drawn = explored.draw(2, explorer.MOST_SEED)
    for index in (2, -1, None):
        with pytest.raises(UserError, match="is not there any more"):
            drawn.at(index)
    with pytest.raises(UserError, match="A slider must be a number from -4.0 to 4.0"):
        explored.move(drawn.at(0), [0.0, 1e9])
    with pytest.raises(UserError, match="Keep two pictures or more"):
        explored.walk(drawn.at(0), 4)
    for frames in (1, 10**6):
        with pytest.raises(UserError, match="number of frames must be a whole number from 2 to 30"):
            explored.walk(drawn, frames)
    with pytest.raises(UserError, match="Keep a picture first"):
        explored.write(explored.nothing, 4, None)
    with pytest.raises(UserError, match="not there any more"):
        drawn.at(0).without(1)
    assert drawn.without(0).z.tolist() == drawn.at(1).z.tolist()
    full = explored.draw(explorer.MOST_KEPT, 0)
    with pytest.raises(UserError, match="12 pictures are kept, the most there may be"):
        full.and_one(drawn.at(0))


def test_a_diverged_generator_is_told_in_a_sentence():
    generator = TinyGenerator()
    generator.variables[0].assign(np.nan * generator.variables[0])
    diverged = Explorer(serving.Server(generator).signatures())
    with pytest.raises(UserError, match="NaN or infinity. Take an earlier checkpoint"):
        diverged.pictures(diverged.draw(2, 0))
