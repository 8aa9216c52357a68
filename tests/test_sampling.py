"""`python -m lsgan_tf.sample`, from the generator's latents to the files."""

import sys

import numpy as np
import pytest
from absl import flags
from PIL import Image

from lsgan_tf import generators, sample, sampling, training
from lsgan_tf.errors import UserError


@pytest.fixture
def trained(tiny_config):
    config = tiny_config(ema_decay=0.5)
    training.train(config)
    return config.run_dir


@pytest.fixture
def conditional(tiny_config):
    config = tiny_config(conditional=True)
    training.train(config)
    return config.run_dir


@pytest.fixture
def run_sample(monkeypatch, capsys):
    """Runs the command in this process; returns the path that it prints."""

    def run(**arguments):
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, value in arguments.items():
                patch.setattr(flags.FLAGS[name], "value", value)
            sample.main()
        return capsys.readouterr().out.split(":")[0]

    if "run_dir" not in flags.FLAGS:
        generators.define_flags()
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(sys.argv[:1])
    return run


def test_a_grid_of_the_same_seed_is_the_same(run_sample, trained):
    one, other, again = (
        np.asarray(Image.open(run_sample(run_dir=trained, num=9, seed=seed))) for seed in (1, 2, 1)
    )
    assert one.shape == (32, 32)  # 3 x 3 pictures of 8 pixels, gaps of 2
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_raw_and_averaged_weights_and_older_checkpoints_differ(run_sample, trained):
    pictures = [
        np.asarray(Image.open(run_sample(run_dir=trained, num=4, weights=weights, checkpoint=step)))
        for weights, step in (("ema", "latest"), ("raw", "latest"), ("ema", "4"))
    ]
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_separate_files(run_sample, trained, tmp_path):
    run_sample(run_dir=trained, num=3, separate=True, output=str(tmp_path / "many"))
    files = sorted((tmp_path / "many").iterdir())
    assert [path.name for path in files] == ["00000.png", "00001.png", "00002.png"]
    run_sample(run_dir=trained, num=2, separate=True, output=str(tmp_path / "many"))
    assert len(list((tmp_path / "many").iterdir())) == 2
    (tmp_path / "many" / "holiday.png").write_bytes(b"precious")
    with pytest.raises(UserError, match="holds other files"):
        run_sample(run_dir=trained, num=2, separate=True, output=str(tmp_path / "many"))
    assert len(list((tmp_path / "many").iterdir())) == 3
    assert Image.open(files[0]).size == (8, 8)


def test_strip_and_gif(run_sample, trained):
    strip = Image.open(run_sample(run_dir=trained, num=3, interpolate="strip", frames=5))
    assert strip.size == (5 * 10 + 2, 2 * 10 + 2)
    gif = Image.open(run_sample(run_dir=trained, num=3, interpolate="gif", frames=5))
    assert 2 <= gif.n_frames <= 10  # equal neighbours are merged


def test_labels_by_name_or_id_make_columns(run_sample, conditional):
    by_name = run_sample(run_dir=conditional, num=4, labels="c,a", output=conditional + "/n.png")
    by_id = run_sample(run_dir=conditional, num=4, labels="2,0", output=conditional + "/i.png")
    np.testing.assert_array_equal(np.asarray(Image.open(by_name)), np.asarray(Image.open(by_id)))
    assert Image.open(by_name).size == (22, 22)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"run_dir": ""}, "--run_dir is missing"),
        ({"run_dir": "absent"}, "not a run directory"),
        ({"checkpoint": "5"}, "no checkpoint of step 5"),
        ({"labels": "a"}, "trained without --conditional"),
        ({"interpolate": "gif", "separate": True}, "choose one"),
        ({"interpolate": "gif", "num": 1}, "two|--num=2"),
    ],
)
def test_mistakes(run_sample, trained, arguments, message):
    with pytest.raises(UserError, match=message):
        run_sample(**{"run_dir": trained, **arguments})


def test_weights_a_run_does_not_have_are_refused(conditional):
    with pytest.raises(UserError, match="without --ema_decay"):
        generators.load(conditional, weights="ema")


def test_labels_are_parsed_or_refused():
    assert generators.parse_labels("b, 0,c", ("a", "b", "c")) == [1, 0, 2]
    assert generators.parse_labels("永和", ("和", "永")) == [1, 0]
    assert generators.parse_labels("", ("a",)) is None
    for wrong in ("d", "3", "-1", "a,,b"):
        with pytest.raises(UserError, match=r"neither a class name nor an id in 0\.\.2.*a, b, c"):
            generators.parse_labels(wrong, ("a", "b", "c"))


def test_pictures_do_not_depend_on_their_neighbours(trained):
    """Batch norm in inference mode: the same latent gives the same picture in any batch."""
    generator = generators.load(trained).generator
    z = sampling.draw_latents(generator, 7, seed=0)
    together = sampling.Sampler(generator)(z)
    alone = np.concatenate(
        [sampling.Sampler(generator, batch_size=1)(z[i : i + 1]) for i in range(7)]
    )
    assert np.abs(together.astype(int) - alone).max() <= 1


def test_interpolation_begins_and_ends_at_the_latents():
    z = np.random.default_rng(0).normal(size=(3, 50)).astype(np.float32)
    for distribution in ("uniform", "normal"):
        path = sampling.interpolate(z, 4, distribution)
        assert path.shape == (8, 50)
        for index, latent in ((0, 0), (3, 1), (4, 1), (7, 2)):
            np.testing.assert_allclose(path[index], z[latent], atol=1e-5)


def test_great_circles_keep_the_length():
    z = np.float32([[2.0, 0.0], [0.0, 2.0]])
    path = sampling.interpolate(z, 3, "normal")
    np.testing.assert_allclose(path[1], [2**0.5, 2**0.5], rtol=1e-6)


def test_labels_for_columns():
    assert sampling.labels_for(4, 2, 0) is None
    assert sampling.labels_for(6, 3, 3).tolist() == [0, 1, 2, 0, 1, 2]
    assert sampling.labels_for(4, 2, 9, [7, 5]).tolist() == [7, 5, 7, 5]
