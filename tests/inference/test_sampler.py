"""`python -m lsgan_tf.sample`, from the generator's latents to the files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsgan_tf import datasets
from lsgan_tf.gan import latents
from lsgan_tf.inference import classes, load, sampler
from lsgan_tf.inference.classes import parse_labels
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils import images
from lsgan_tf.utils.errors import UserError


def test_a_grid_of_the_same_seed_is_the_same(run_sample, trained):
    one, other, again = (
        np.asarray(Image.open(run_sample(run_dir=trained, num=9, seed=seed))) for seed in (1, 2, 1)
    )
    assert one.shape == (32, 32)  # 3 x 3 pictures of 8 pixels, gaps of 2
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_latents_of_a_file_are_those_of_the_grid(run_sample, trained):
    """The run's own: its last sample grid, whose pictures are of other columns."""
    stored = Run(trained).samples / "latents.npy"
    path = run_sample(run_dir=trained, latents=str(stored), weights="ema")
    z = np.load(stored)
    generator = load.load(trained).generator
    expected = images.grid(sampler.Sampler(generator)(z), round(len(z) ** 0.5))
    np.testing.assert_array_equal(np.asarray(Image.open(path)), np.squeeze(expected))
    assert Path(path).name == "sample-0000012-ema-latents-latents.png"
    with pytest.raises(UserError, match="leave --num and --seed out"):
        run_sample(run_dir=trained, latents=str(stored), num=4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((4, 6)), r"holds float64 \[4, 6\]; latents are numbers \[N, 5\]"),
        (np.zeros((0, 5)), "N above 0"),
        (np.full((4, 5), np.nan), "NaN or infinity"),
        (np.array(["a", "b"]), "latents are numbers"),
        (b"PK\x03\x04", "cannot be read as .npy"),
        (b"", "cannot be read as .npy"),
        (None, "cannot be read as .npy"),
    ],
)
def test_files_that_hold_no_latents_are_refused(run_sample, trained, tmp_path, content, message):
    path = tmp_path / "z.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(UserError, match=message):
        run_sample(run_dir=trained, latents=str(path))


def test_truncation_moves_latents_to_their_mean(run_sample, trained, tmp_path):
    wide, narrow, mean = (
        np.asarray(Image.open(run_sample(run_dir=trained, num=9, truncation=truncation)), float)
        for truncation in (1.0, 0.5, 0.0)
    )
    np.testing.assert_array_equal(mean[:8, :8], mean[10:18, 10:18])
    assert 0 < np.abs(narrow - mean).mean() < np.abs(wide - mean).mean()
    path = run_sample(run_dir=trained, num=2, interpolate="strip", truncation=0.5)
    assert path.endswith("strip-0000012-ema-seed0-truncation0.5.png")


def test_raw_and_averaged_weights_and_older_checkpoints_differ(run_sample, trained):
    pictures = [
        np.asarray(Image.open(run_sample(run_dir=trained, num=4, weights=weights, checkpoint=step)))
        for weights, step in (("ema", "latest"), ("raw", "latest"), ("ema", "4"))
    ]
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_strip_and_gif(run_sample, trained):
    strip = Image.open(run_sample(run_dir=trained, num=3, interpolate="strip", frames=5))
    assert strip.size == (5 * 10 + 2, 2 * 10 + 2)
    gif = Image.open(run_sample(run_dir=trained, num=3, interpolate="gif", frames=5))
    assert 2 <= gif.n_frames <= 10  # equal neighbours are merged


@pytest.mark.parametrize("changes", [{}, {"interpolate": "strip"}, {"interpolate": "gif"}])
def test_a_scale_shows_each_pixel_as_a_square(run_sample, trained, changes):
    small, large = (
        np.asarray(Image.open(run_sample(run_dir=trained, num=3, scale=scale, **changes)))
        for scale in (1, 3)
    )
    np.testing.assert_array_equal(large, np.kron(small, np.ones((3, 3), np.uint8)))


def test_timelapse_of_what_training_wrote(run_sample, trained, conditional, tmp_path):
    path = run_sample(run_dir=trained, timelapse="gif")
    assert path == f"{trained}/timelapse.gif"
    assert Image.open(path).n_frames == 5  # steps 0, 6 and 12, and 4 and 8 of the checkpoints
    path = run_sample(run_dir=conditional, timelapse="png", output=str(tmp_path / "rows.png"))
    assert path == str(tmp_path / "rows.png") and Image.open(path).format == "PNG"


def test_labels_by_name_or_id_make_columns(run_sample, conditional, data_dir):
    paths = [
        run_sample(run_dir=conditional, num=4, labels=labels, output=f"{conditional}/{labels}.png")
        for labels in ("c,a", "2,0", "ca", "c,0")
    ]
    by_name, *others = (np.asarray(Image.open(path)) for path in paths)
    for other in others:
        np.testing.assert_array_equal(by_name, other)
    # A row of real examples, the line, and two rows of generated pictures.
    assert by_name.shape == (12 + 4 + 22, 22)
    assert (by_name[12:16] == 0).all()
    examples = datasets.load("tiny", str(data_dir)).examples_of([2, 0])[..., 0]
    np.testing.assert_array_equal(by_name[2:10, 2:10], examples[0])
    np.testing.assert_array_equal(by_name[2:10, 12:20], examples[1])
    plain = run_sample(run_dir=conditional, num=4, labels="c,a", reals=False)
    np.testing.assert_array_equal(np.asarray(Image.open(plain)), by_name[16:])


def test_the_grid_of_a_conditional_run_has_eight_full_rows(run_sample, conditional):
    for labels, columns in (("", 3), ("b", 1), ("b,b", 2)):
        picture = Image.open(run_sample(run_dir=conditional, labels=labels))
        assert picture.size == (columns * 10 + 2, 12 + 4 + 82)
    few = Image.open(run_sample(run_dir=conditional, num=2, columns=3))
    assert few.size == (22, 12 + 4 + 12)


def test_without_the_data_set_there_is_no_real_row(run_sample, conditional, tmp_path, capsys):
    path = run_sample(run_dir=conditional, num=4, labels="a,b", data_dir=str(tmp_path))
    assert Image.open(path).size == (22, 22)
    message = f"without real examples: data set tiny is not in {tmp_path}. --data_dir"
    assert message in capsys.readouterr().err
    with pytest.raises(UserError, match="--reals: data set tiny is not in"):
        run_sample(run_dir=conditional, num=4, labels="a,b", data_dir=str(tmp_path), reals=True)


def test_only_an_explicit_reals_searches_everything(run_sample, conditional, monkeypatch):
    monkeypatch.setattr(classes, "SEARCHED", 0)
    rows = [
        np.asarray(Image.open(run_sample(run_dir=conditional, num=2, labels="a", reals=reals)))
        for reals in (None, True)
    ]
    assert (rows[0][2:10, 2:10] == 128).all() and (rows[1][2:10, 2:10] != 128).any()


def test_labels_that_would_be_left_out_are_refused(run_sample, conditional):
    for arguments, message in (
        ({"num": 1}, "names 2 classes, --num=1 has no room"),
        ({"columns": 1}, "--columns=1 has no room"),
        ({"interpolate": "strip", "num": 2}, "names 2 classes, --num=2 makes 1 walks"),
        ({"separate": True, "reals": True}, "--reals goes with a grid"),
    ):
        with pytest.raises(UserError, match=message):
            run_sample(run_dir=conditional, labels="a,b", **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"run_dir": ""}, "--run_dir is missing"),
        ({"run_dir": "absent"}, "not a run directory"),
        ({"checkpoint": "5"}, "no checkpoint of step 5"),
        ({"labels": "a"}, "--labels: this run was trained without --conditional"),
        ({"reals": True}, "--reals: this run was trained without --conditional"),
        ({"interpolate": "gif", "separate": True}, "choose one"),
        ({"scale": 2, "separate": True}, "--scale is for looking"),
        ({"interpolate": "gif", "num": 1}, "two|--num=2"),
        ({"timelapse": "gif", "interpolate": "gif"}, "leave --interpolate out"),
        ({"timelapse": "png", "reals": False, "seed": 1}, "leave --seed, --reals out"),
        ({"timelapse": "gif", "checkpoint": "best", "weights": "raw"}, "--checkpoint, --weights"),
        ({"timelapse": "gif", "run_dir": "absent"}, "not a run directory"),
    ],
)
def test_mistakes(run_sample, trained, arguments, message):
    with pytest.raises(UserError, match=message):
        run_sample(**{"run_dir": trained, **arguments})


def test_weights_a_run_does_not_have_are_refused(conditional):
    with pytest.raises(UserError, match="without --ema_decay"):
        load.load(conditional, weights="ema")


@pytest.mark.parametrize(
    ("text", "names", "ids"),
    [
        ("", "abc", None),
        ("b, 0,c", "abc", [1, 0, 2]),
        ("b,b", "abc", [1, 1]),
        ("永和", "和永", [1, 0]),
        ("永,1,和和", "和永", [1, 1, 0, 0]),
        ("dog,2,cat", ("cat", "dog", "eel"), [1, 2, 0]),
        # A name wins over an id, written together too.
        ("6,0", "567", [1, 0]),
        ("10", "0123456789abcdef", [1, 0]),
        ("12", ("1", "2", "12"), [2]),
        ("tench, a fish", ("hen", "tench, a fish"), [1]),
    ],
)
def test_labels_are_names_or_ids(text, names, ids):
    assert parse_labels(text, tuple(names)) == ids


@pytest.mark.parametrize(
    ("text", "names", "message"),
    [
        *((wrong, "abc", r"nor an id in 0\.\.2\. Class names: a, b, c\.") for wrong in "d3²"),
        ("-1", "abc", r"'-1' is neither"),
        ("9" * 5000, "abc", "is neither a class name nor an id"),
        ("a,,b", "abc", "--labels=a,,b: a name or id is missing"),
        ("a,", "abc", "a name or id is missing"),
        ("永x年", "和永", r"'永x年' is neither .* \(no class: x, 年\)"),
        ("Cats", ("cat", "dog"), "close to it: cat"),
        ("catdog", ("cat", "dog", "a", "b"), "is neither"),
        ("ab", ("cat", "a", "b"), "is neither"),  # together only where all names are so short
        ("x", map(str, range(100, 200)), r"119, \.\.\. \(100 in all, listed in the run's config"),
    ],
)
def test_labels_that_are_neither_are_refused(text, names, message):
    with pytest.raises(UserError, match=message):
        parse_labels(text, tuple(names))


def test_pictures_do_not_depend_on_their_neighbours(trained):
    """Batch norm in inference mode: the same latent gives the same picture in any batch."""
    generator = load.load(trained).generator
    z = sampler.draw_latents(generator, 7, seed=0)
    together = sampler.Sampler(generator)(z)
    alone = np.concatenate(
        [sampler.Sampler(generator, batch_size=1)(z[i : i + 1]) for i in range(7)]
    )
    assert np.abs(together.astype(int) - alone).max() <= 1


def test_interpolation_begins_and_ends_at_the_latents():
    z = np.random.default_rng(0).normal(size=(3, 50)).astype(np.float32)
    for distribution in ("uniform", "normal"):
        path = sampler.interpolate(z, 4, distribution)
        assert path.shape == (8, 50)
        for index, latent in ((0, 0), (3, 1), (4, 1), (7, 2)):
            np.testing.assert_allclose(path[index], z[latent], atol=1e-5)


def test_great_circles_keep_the_length():
    z = np.float32([[2.0, 0.0], [0.0, 2.0]])
    path = sampler.interpolate(z, 3, "normal")
    np.testing.assert_allclose(path[1], [2**0.5, 2**0.5], rtol=1e-6)


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("latent_dim", [5, 100])
def test_latents_from_any_number_on_are_those_of_one_draw(distribution, latent_dim):
    together = latents.draw(distribution, 300, latent_dim, seed=7, step=-1).numpy()
    for start, stop in ((0, 1), (0, 64), (3, 10), (64, 128), (299, 300)):
        rows = latents.draw_rows(distribution, start, stop - start, latent_dim, seed=7, step=-1)
        np.testing.assert_array_equal(rows, together[start:stop])


def test_labels_for_columns():
    assert sampler.labels_for(4, 2, 0) is None
    assert sampler.labels_for(6, 3, 3).tolist() == [0, 1, 2, 0, 1, 2]
    assert sampler.labels_for(4, 2, 9, [7, 5]).tolist() == [7, 5, 7, 5]
