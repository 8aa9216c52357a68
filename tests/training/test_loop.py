"""Runs, whole: what they write, where they stop, how they resume, what stops them."""

import dataclasses
import json
import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lsgan_tf import datasets
from lsgan_tf.config import Config
from lsgan_tf.gan.model import GAN
from lsgan_tf.runs import checkpoints
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.training import build, dry_run, loop
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.signals import StopRequest


def _weights(config, step=None):
    """All variables of a run's checkpoint, both optimizers' included."""
    directory = Run(config.run_dir).checkpoints
    step = step or checkpoints.available(directory)[-1]
    reader = tf.train.load_checkpoint(str(directory / f"step-{step}"))
    names = [n for n in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in n]
    return {n: reader.get_tensor(n) for n in names if "save_counter" not in n}


def _assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def _lines(config):
    return [json.loads(line) for line in Run(config.run_dir).metrics.read_text().splitlines()]


def _events(config):
    """{tag: [steps]} of everything TensorBoard would show."""
    tags = {}
    for path in sorted(Run(config.run_dir).directory.glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                tags.setdefault(value.tag, []).append(event.step)
    return tags


def test_a_run_leaves_what_it_promises(tiny_config):
    config = tiny_config()
    loop.train(config)
    run = Run(config.run_dir)
    assert [line["step"] for line in _lines(config)] == [3, 6, 9, 12]
    assert {"d_loss", "g_loss", "d_real", "d_fake", "images_per_second"} <= _lines(config)[0].keys()
    names = sorted(path.name for path in run.samples.glob("*.png"))
    # One for each checkpoint, too.
    assert names == [f"{step:07d}.png" for step in (0, 4, 6, 8, 12)]
    assert checkpoints.available(run.checkpoints) == [4, 8, 12]
    assert Image.open(run.directory / "reals.png").size == (82, 82)
    events = _events(config)
    assert events["loss/discriminator"] == [3, 6, 9, 12]
    for tag in (
        *("loss/generator", "loss/discriminator_at_optimum", "loss/generator_at_optimum"),
        *("logits/real", "logits/fake", "gradient_norm/discriminator", "gradient_norm/generator"),
        "speed/images_per_second",
    ):
        assert events[tag] == [3, 6, 9, 12], tag
    assert events["samples"] == [0, 4, 6, 8, 12]
    assert events["reals"] == events["flags"] == [0]


def test_the_reals_of_a_conditional_run_stand_in_its_columns(tiny_config, data_dir):
    config = tiny_config(conditional=True, train_steps=1)
    loop.train(config)
    picture = np.asarray(Image.open(Run(config.run_dir).directory / "reals.png"))
    sample = Image.open(Run(config.run_dir).samples / "0000001.png")
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


def test_checkpoints_are_bounded(tiny_config):
    config = tiny_config(train_steps=20, keep_checkpoints=2)
    loop.train(config)
    directory = Run(config.run_dir).checkpoints
    assert checkpoints.available(directory) == [16, 20]
    assert len(list(directory.glob("step-*"))) == 4


def test_a_finished_run_does_nothing_and_says_so(tiny_config, capsys):
    config = tiny_config()
    loop.train(config)
    before = _weights(config)
    loop.train(config)
    loop.train(dataclasses.replace(config, train_steps=5))
    assert capsys.readouterr().out.count("nothing to do") == 2
    assert Run(config.run_dir).read()[0].train_steps == 12
    _assert_equal(_weights(config), before)
    assert len(_lines(config)) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"conditional": True, "ema_decay": 0.9, "optimizer": "rmsprop"},
        {"logical_devices": 2, "steps_per_execution": 3},
        {"n_critic": 2, "shared_latents": False, "discriminator_learning_rate": 1e-3},
        {"schedule": "simultaneous", "loss_scale": 12.0},
        {"dtype_policy": "mixed_float16", "logical_devices": 2, "sync_batch_norm": False},
    ],
)
def test_resuming_is_exact(tiny_config, changes, tmp_path):
    whole = tiny_config(run_dir=str(tmp_path / "whole"), **changes)
    loop.train(whole)
    parts = tiny_config(run_dir=str(tmp_path / "parts"), **changes)
    loop.train(dataclasses.replace(parts, train_steps=5))  # 5 is no multiple of any cadence
    loop.train(parts)
    _assert_equal(_weights(parts), _weights(whole))
    assert [line["step"] for line in _lines(parts)] == [3, 5, 6, 9, 12]


def test_the_seed_decides_everything(tiny_config, tmp_path):
    runs = [
        tiny_config(run_dir=str(tmp_path / str(i)), seed=seed) for i, seed in enumerate((1, 1, 2))
    ]
    for config in runs:
        loop.train(config)
    one, same, other = (_weights(config) for config in runs)
    _assert_equal(one, same)
    assert any(not np.array_equal(one[name], other[name]) for name in one)


def test_steps_per_execution_keeps_the_cadences(tiny_config):
    config = tiny_config(steps_per_execution=100)
    loop.train(config)
    assert [line["step"] for line in _lines(config)] == [3, 6, 9, 12]
    assert checkpoints.available(Run(config.run_dir).checkpoints) == [4, 8, 12]


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


def test_another_number_of_replicas_goes_on_to_rounding(tiny_config, tmp_path, capsys):
    whole = tiny_config(run_dir=str(tmp_path / "whole"))
    loop.train(whole)
    parts = tiny_config(train_steps=8)
    loop.train(parts)
    loop.train(tiny_config(logical_devices=2))
    told = capsys.readouterr().out
    assert "resuming with --logical_devices=2 (was 1)" in told
    assert "resuming on 2 replicas (was 1)" in told and "not bit for bit" in told
    expected = {line["step"]: line["d_loss"] for line in _lines(whole)}
    for line in _lines(parts):
        if line["step"] in expected and line["step"] != 9:  # a mean over fewer steps than there
            assert line["d_loss"] == pytest.approx(expected[line["step"]], rel=1e-3)


def test_without_shared_statistics_another_number_of_replicas_needs_consent(tiny_config):
    loop.train(tiny_config(train_steps=2, sync_batch_norm=False))
    changed = tiny_config(train_steps=3, sync_batch_norm=False, logical_devices=2)
    with pytest.raises(UserError, match="replicas, which matter with --nosync.*was 1, is 2"):
        loop.train(changed)
    loop.train(changed, allow_config_change=True)


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_finishes_the_step_and_saves(tiny_config, monkeypatch, capsys, number):
    config = tiny_config(train_steps=50, steps_per_execution=1)
    step_of_signal = 5
    original = GAN.run_steps

    def run_steps(self, iterator, steps, **kwargs):
        results = original(self, iterator, steps, **kwargs)
        if int(self.step.numpy()) == step_of_signal:
            signal.raise_signal(number)
        return results

    monkeypatch.setattr(GAN, "run_steps", run_steps)
    handler = signal.getsignal(number)
    loop.train(config)
    assert signal.getsignal(number) is handler
    assert checkpoints.available(Run(config.run_dir).checkpoints)[-1] == step_of_signal
    out = capsys.readouterr().out
    assert f"{number.name}: saved step 5" in out
    assert f"--run_dir={config.run_dir}" in out


def test_a_signal_during_a_sample_saves_too(tiny_config, monkeypatch):
    config = tiny_config(train_steps=50, sample_every=3, checkpoint_every=100)
    original = Run.write_sample

    def write_sample(self, step, picture):
        if step == 3:
            signal.raise_signal(signal.SIGTERM)
        return original(self, step, picture)

    monkeypatch.setattr(Run, "write_sample", write_sample)
    loop.train(config)
    assert checkpoints.available(Run(config.run_dir).checkpoints) == [3]


def test_a_sample_that_a_kill_prevented_is_made_up_for(tiny_config):
    loop.train(tiny_config(train_steps=5))
    path = Run(tiny_config().run_dir).sample_path(5)
    expected = path.read_bytes()
    path.unlink()
    loop.train(tiny_config())
    assert path.read_bytes() == expected


def test_a_second_interrupt_is_obeyed():
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


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
    assert all(np.isfinite(value).all() for value in _weights(config).values())


def test_changed_flags_are_refused(tiny_config):
    loop.train(tiny_config())
    with pytest.raises(UserError, match="learning_rate: was 0.0002, is 0.1"):
        loop.train(tiny_config(learning_rate=0.1, train_steps=14))
    loop.train(tiny_config(learning_rate=0.1, train_steps=14), allow_config_change=True)
    assert checkpoints.available(Run(tiny_config().run_dir).checkpoints)[-1] == 14
    rates = [value for name, value in _weights(tiny_config()).items() if "learning_rate" in name]
    assert rates == pytest.approx([0.1, 0.1])  # not the rate of the checkpoint of step 12


def test_a_run_of_an_older_version_goes_on(tiny_config):
    """Flags that it did not know have their defaults."""
    loop.train(tiny_config())
    path = Run(tiny_config().run_dir).directory / "config.json"
    stored = json.loads(path.read_text())
    for name in ("penalty", "n_critic", "schedule", "beta_2"):
        del stored["config"][name]
    path.write_text(json.dumps(stored))
    loop.train(tiny_config(train_steps=14))
    assert _lines(tiny_config())[-1]["step"] == 14


def test_each_network_has_its_learning_rate(tiny_config):
    loop.train(tiny_config(discriminator_learning_rate=0.25, learning_rate=0.125))
    found = {
        name.split("/")[0]: float(value)
        for name, value in _weights(tiny_config()).items()
        if "learning_rate" in name
    }
    assert sorted(found.values()) == [0.125, 0.25]


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
    tiny_config, data_dir, tmp_path, trained_before
):
    copy = tmp_path / "data"
    shutil.copytree(data_dir / "tiny", copy / "tiny")
    config = tiny_config(data_dir=str(copy))
    if trained_before:
        loop.train(config)
    shard = next((copy / "tiny").glob("*.tfrecord-*0-of-*"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(UserError, match=shard.name):
        loop.train(dataclasses.replace(config, train_steps=40))
    if trained_before:
        assert checkpoints.available(Run(config.run_dir).checkpoints)[-1] >= 12


def test_dry_run_prints_and_writes_nothing(tiny_config, capsys):
    config = tiny_config()
    dry_run.print_run(config)
    out = capsys.readouterr().out
    assert "--network=tiny" in out and "Total params" in out
    assert not Run(config.run_dir).directory.exists()


def test_dry_run_does_not_render_a_data_set(tmp_path, capsys):
    config = Config(
        dataset="digits_shift", network="digit", data_dir=str(tmp_path / "d"), run_dir="nowhere"
    )
    dry_run.print_run(config)
    assert "# 10000 images of (28, 28, 1)" in capsys.readouterr().out
    assert not (tmp_path / "d").exists()


def test_dry_run_prints_the_networks_of_data_that_are_missing(tmp_path, capsys):
    config = Config(dataset="lsun_church", network="scene", data_dir=str(tmp_path))
    dry_run.print_run(config)
    out = capsys.readouterr().out
    assert "# not yet prepared: images of (112, 112, 3)" in out
    assert "Total params: 15,59" in out
    assert out.index("Total params") < out.index("The data are missing: ")
    assert "python -m tools.convert_lsun" in out


def test_dry_run_of_unknown_data_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no data set 'unknown'"):
        dry_run.print_run(Config(dataset="unknown", data_dir=str(tmp_path)))
