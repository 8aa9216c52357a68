"""Runs, whole: what they write, how many steps a call takes, what stops them."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lsgan_tf import datasets
from lsgan_tf.gan.model import GAN
from lsgan_tf.runs import checkpoints
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.training import build, loop
from lsgan_tf.utils.errors import UserError
from tests.run_contents import assert_same_variables, read_events, read_lines, read_variables


def _logged_steps(config):
    return [line["step"] for line in read_lines(Run(config.run_dir).metrics)]


def test_a_run_leaves_what_it_promises(trained_once):
    config = trained_once()
    run = Run(config.run_dir)
    lines = read_lines(run.metrics)
    assert [line["step"] for line in lines] == [3, 6, 9, 12]
    assert {"d_loss", "g_loss", "d_real", "d_fake", "images_per_second"} <= lines[0].keys()
    assert lines[0]["g_learning_rate"] == lines[3]["d_learning_rate"] == pytest.approx(2e-4)
    names = sorted(path.name for path in run.samples.glob("*.png"))
    # One for each checkpoint, too.
    assert names == [f"{step:07d}.png" for step in (0, 4, 6, 8, 12)]
    assert checkpoints.available(run.checkpoints) == [4, 8, 12]
    assert Image.open(run.directory / "reals.png").size == (82, 82)
    steps = {tag: list(values) for tag, values in read_events(config.run_dir).items()}
    assert steps["loss/discriminator"] == [3, 6, 9, 12]
    for tag in (
        *("loss/generator", "loss/discriminator_at_optimum", "loss/generator_at_optimum"),
        *("logits/real", "logits/fake", "gradient_norm/discriminator", "gradient_norm/generator"),
        *("learning_rate/generator", "learning_rate/discriminator", "speed/images_per_second"),
    ):
        assert steps[tag] == [3, 6, 9, 12], tag
    assert steps["samples"] == [0, 4, 6, 8, 12]
    assert steps["reals"] == steps["flags"] == [0]


def test_the_reals_of_a_conditional_run_stand_in_its_columns(trained_once, data_dir):
    config = trained_once(conditional=True)
    picture = np.asarray(Image.open(Run(config.run_dir).directory / "reals.png"))
    sample = Image.open(Run(config.run_dir).samples / "0000012.png")
    assert sample.size[::-1] == picture.shape == (82, 32)
    with np.load(data_dir / "tiny.npz") as source:
        images, labels = source["images"], source["labels"]
    for label in range(3):
        shown = [
            picture[top : top + 8, label * 10 + 2 : label * 10 + 10] for top in range(2, 82, 10)
        ]
        numbers = [int((images == pixels).all(axis=(1, 2)).nonzero()[0].item()) for pixels in shown]
        assert len(set(numbers)) == 8
        assert (labels[numbers] == label).all()


def test_a_finished_run_does_nothing_and_says_so(trained_copy, capsys):
    config = trained_copy()
    before = read_variables(config.run_dir)
    capsys.readouterr()
    loop.train(config)
    loop.train(dataclasses.replace(config, train_steps=5))
    assert capsys.readouterr().out.count("nothing to do") == 2
    assert Run(config.run_dir).read()[0].train_steps == 12
    assert_same_variables(read_variables(config.run_dir), before)
    assert len(_logged_steps(config)) == 4


def test_another_seed_makes_another_run(trained_once, tiny_config):
    """That the same seed makes the same run is what `test_resuming_is_exact` needs as well."""
    other = tiny_config(seed=2, train_steps=4)
    loop.train(other)
    expected = read_variables(trained_once().run_dir, step=4)
    assert any(
        not np.array_equal(value, expected[name])
        for name, value in read_variables(other.run_dir).items()
        if "discriminator/" in name and "optimizer" not in name
    )


def test_by_default_a_call_takes_as_many_steps_as_half_a_second(tiny_config, monkeypatch):
    calls = []
    original = GAN.run_steps

    def run_steps(self, iterator, steps, **kwargs):
        calls.append(steps)
        return original(self, iterator, steps, **kwargs)

    monkeypatch.setattr(GAN, "run_steps", run_steps)
    cadences = {"log_every": 400, "sample_every": 400, "checkpoint_every": 400}
    loop.train(tiny_config(train_steps=400, **cadences))
    assert calls[0] == 1  # which compiles the graph
    assert sum(calls) == 400
    assert max(calls) > 20


def test_the_pace_follows_the_time_of_a_call(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(loop.time, "perf_counter", lambda: now[0])

    def after(pace, steps, seconds):
        with pace.measured(steps):
            now[0] += seconds
        return pace.steps

    pace = loop._Pace(0)
    assert after(pace, 1, 5.0) == 1  # the first call compiles
    assert after(pace, 1, 0.01) == 50
    assert after(pace, 50, 1.0) == 25
    assert after(pace, 25, 1e-6) == 1000
    assert after(loop._Pace(7), 7, 60.0) == 7


def test_workers_compare_flags_data_and_versions_but_not_where_things_are(tiny_config, tmp_path):
    def facts(**changes):
        config = tiny_config(**changes)
        dataset = datasets.load(changes.pop("dataset", "tiny"), config.data_dir)
        return loop._facts(config, dataset, 2)

    first = facts()
    assert facts(run_dir=str(tmp_path / "elsewhere")) == first
    for changes, name in (
        ({"log_every": 7}, "--log_every"),
        ({"dataset": "small"}, "the data set's fingerprint"),
    ):
        other = facts(**changes)
        assert other[name] != first[name]
    assert {"tensorflow", "keras", "number of replicas"} <= first.keys()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_together_read_each_epoch_once(tiny_config, workers):
    """The set is in one shard: workers share examples, not files, and may be more than those."""
    config = tiny_config()
    dataset = datasets.load(config.dataset, config.data_dir)
    gan = build.gan(config, dataset.image_shape, None)
    taken = []

    class Strategy:
        num_replicas_in_sync = 6

        def distribute_datasets_from_function(self, pipeline):
            for worker in range(workers):
                context = tf.distribute.InputContext(workers, worker, 6)
                slices = pipeline(context).take(8 * 6 // workers)  # 8 steps of 12: all 96 images
                parts = list(slices.as_numpy_iterator())
                assert {len(part) for part in parts} == {2}
                taken.extend(parts)

    loop.batches(config, Strategy(), dataset, gan, 0)
    seen = {image.tobytes() for part in taken for image in part}
    assert len(seen) == sum(map(len, taken)) == dataset.num_examples


def test_mirror_flips_what_is_trained_on(tiny_config):
    def first(**changes):
        config = tiny_config(n_critic=2, **changes)
        dataset = datasets.load(config.dataset, config.data_dir)
        gan = build.gan(config, dataset.image_shape, None)
        strategy = tf.distribute.get_strategy()
        groups = loop.batches(config, strategy, dataset, gan, 3)
        return np.concatenate([batch.numpy() for batch in next(iter(groups))])

    originals, images = first(), first(mirror=True)
    flipped = (images == originals[:, :, ::-1]).all(axis=(1, 2, 3))
    assert 0 < flipped.sum() < 24
    np.testing.assert_array_equal(images[~flipped], originals[~flipped])


def test_a_sample_that_a_kill_prevented_is_made_up_for(trained_copy):
    config = trained_copy()
    path = Run(config.run_dir).sample_path(12)
    expected = path.read_bytes()
    path.unlink()
    loop.train(dataclasses.replace(config, train_steps=13))
    assert path.read_bytes() == expected


def test_divergence_stops_and_keeps_the_last_good_checkpoint(tiny_config, monkeypatch):
    config = tiny_config(train_steps=50, log_every=5, steps_per_execution=1)
    original = GAN.run_steps

    def run_steps(self, iterator, steps, **kwargs):
        if int(self.step.numpy()) == 6:
            kernel = self.generator.trainable_variables[0]
            kernel.assign(np.full(kernel.shape, np.nan, np.float32))
        return original(self, iterator, steps, **kwargs)

    monkeypatch.setattr(GAN, "run_steps", run_steps)
    with pytest.raises(UserError, match="NaN or infinite between step 6 and 8.*learning_rate"):
        loop.train(config)
    assert checkpoints.available(Run(config.run_dir).checkpoints) == [4]
    assert all(np.isfinite(value).all() for value in read_variables(config.run_dir).values())


def test_a_penalty_on_batch_norm_is_refused_with_the_reason(tiny_config):
    config = tiny_config(penalty="lsgan_gp")
    with pytest.raises(
        UserError, match="--penalty=lsgan_gp does not go with --network=tiny.*mixes"
    ):
        loop.train(config)
    assert not Run(config.run_dir).directory.exists()


def test_a_second_trainer_is_refused(tiny_config):
    config = tiny_config()
    with Run(config.run_dir).locked(), pytest.raises(UserError, match="Another trainer"):
        loop.train(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 9, "logical_devices": 2}, "does not divide by 2 replicas"),
        ({"network": "scene"}, "takes images of 112x112x3, the data set has 8x8x1"),
        ({"network": "vgg"}, "unknown. Known: scene"),
        ({"dataset": "nothing"}, "nothing"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(tiny_config, changes, message):
    config = tiny_config(**changes)
    with pytest.raises(UserError, match=message):
        loop.train(config)
    assert not Run(config.run_dir).directory.exists()


@pytest.mark.parametrize("trained_before", [True, False])
def test_a_damaged_record_is_named_and_nothing_is_lost(
    tiny_config, trained_copy, data_dir, tmp_path, trained_before
):
    copy = tmp_path / "data"
    shutil.copytree(data_dir / "tiny", copy / "tiny")
    config = trained_copy() if trained_before else tiny_config()
    shard = next((copy / "tiny").glob("*.tfrecord-*0-of-*"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(UserError, match=shard.name):
        loop.train(dataclasses.replace(config, data_dir=str(copy), train_steps=40))
    if trained_before:
        assert checkpoints.available(Run(config.run_dir).checkpoints)[-1] >= 12
