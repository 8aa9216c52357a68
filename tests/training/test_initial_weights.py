"""`--init_from`: a new run from the weights of another; `--freeze_discriminator`."""

import dataclasses
import re
import shutil

import numpy as np
import pytest

from lsgan_tf.gan import ema
from lsgan_tf.inference import load
from lsgan_tf.runs import checkpoints
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.training import dry_run, loop
from lsgan_tf.utils.errors import UserError
from tests.run_contents import assert_same_variables, read_variables


@pytest.fixture
def new_config(tiny_config, tmp_path):
    """Makes the Config of a run beside others."""
    return lambda **changes: tiny_config(run_dir=str(tmp_path / "new"), **changes)


@pytest.fixture(scope="session")
def other_data(tmp_path_factory):
    """A --data_dir whose set `tiny` has other images and five classes."""
    from tools import convert_images

    root = tmp_path_factory.mktemp("other")
    images = np.random.default_rng(1).integers(0, 256, (60, 8, 8), np.uint8)
    np.savez(root / "source.npz", images=images, labels=np.arange(60) % 5, class_names=[*"abcde"])
    convert_images.convert(root / "source.npz", root / "tiny", convert_images.Options(image_size=8))
    return str(root)


def _start_alone(config, monkeypatch):
    """Makes the run as far as the moment before its first step."""
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(loop, "batches", lambda *_: (_ for _ in ()).throw(MemoryError))
        loop.train(config)


def _read_networks(config, step=0):
    """The variables of the networks in a checkpoint, by network, number and path."""
    run = Run(config.run_dir)
    generator, discriminator = load.build_networks(*run.read())
    networks = {"generator": generator, "discriminator": discriminator}
    if config.ema_decay:
        networks["generator_ema"] = ema.copy(generator)
    checkpoints.restore_networks(networks, run.checkpoints, checkpoint=str(step))
    return {
        f"{name}/{number}/{re.sub('_[0-9]+', '', variable.path)}": variable.numpy()
        for name, network in networks.items()
        for number, variable in enumerate(network.variables)
    }


def test_a_new_run_starts_from_the_weights_of_another(trained_once, new_config, other_data, capsys):
    source = trained_once(ema_decay=0.9)
    config = new_config(
        **{"ema_decay": 0.9, "data_dir": other_data, "init_from": source.run_dir},
        **{"train_steps": 2, "seed": 3},
    )
    loop.train(config)
    assert f"starting from {source.run_dir}, step 12\n" in capsys.readouterr().out
    assert checkpoints.available(Run(config.run_dir).checkpoints) == [0, 2]
    assert_same_variables(_read_networks(config), _read_networks(source, 12))
    start = read_variables(config.run_dir, "0")
    assert start["step/.ATTRIBUTES/VARIABLE_VALUE"] == 0
    slots = [value for name, value in start.items() if "optimizer/_variables/" in name]
    assert slots and not any(value.any() for value in slots)
    assert Run(config.run_dir).sample_path(0).exists()
    assert Run(config.run_dir).read()[0].init_from == source.run_dir


def test_a_step_can_be_chosen_and_an_average_begun(trained_once, new_config, monkeypatch):
    source = trained_once()  # without an average
    config = new_config(init_from=f"{source.run_dir}@4", ema_decay=0.9, train_steps=1)
    _start_alone(config, monkeypatch)
    start = _read_networks(config)
    expected = _read_networks(source, 4)
    assert_same_variables({name: start[name] for name in expected}, expected)
    for name, value in start.items():
        if name.startswith("generator_ema/"):
            np.testing.assert_array_equal(value, expected[name.replace("_ema", "")])


def test_other_classes_bring_their_own_label_maps(trained_once, new_config, other_data, capsys):
    source = trained_once(conditional=True)
    changes = {"conditional": True, "data_dir": other_data, "train_steps": 1, "logical_devices": 2}
    config = new_config(init_from=source.run_dir, **changes)
    loop.train(config)
    assert "but for the label maps: 3 classes there, 5 here" in capsys.readouterr().out
    start, expected = _read_networks(config), _read_networks(source, 12)
    assert start.keys() == expected.keys()
    for name, value in expected.items():
        if "label_map" not in name:
            np.testing.assert_array_equal(start[name], value, err_msg=name)
        elif "kernel" in name:
            assert len(start[name]) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conditional": True}, "conditional: False, here True\nGive --noconditional"),
        ({"discriminator_norm": "none"}, "norm: batch, here none\nGive --discriminator_norm=batch"),
        (
            {"network": "dcgan", "dataset": "small"},
            "network: tiny, here dcgan\n  image size: 8x8, here 28x28\n"
            "Give --network=tiny --image_size=8",
        ),
    ],
)
def test_other_networks_are_refused(trained_once, new_config, changes, message):
    source = trained_once()
    config = new_config(init_from=source.run_dir, **changes)
    with pytest.raises(UserError, match=message):
        loop.train(config)
    with pytest.raises(UserError, match=message):
        dry_run.print_run(config)
    assert not Run(config.run_dir).directory.exists()


@pytest.mark.parametrize(
    ("suffix", "message"),
    [
        ("@5", r"no checkpoint of step 5.*\[4, 8, 12\]"),
        ("@x", "--init_from=.*@x is neither a step"),
        ("@best", "has no best checkpoint"),
        ("s", "is not a run directory"),
    ],
)
def test_a_source_that_is_not_there_is_named(trained_once, new_config, suffix, message):
    config = new_config(init_from=trained_once().run_dir + suffix)
    with pytest.raises(UserError, match=message):
        loop.train(config)


def test_widths_and_norms_are_compared_as_they_are_made(tiny_config, new_config):
    """A flag that leaves a width to the pair is no other width."""
    settings = {"network": "dcgan", "dataset": "small", "batch_size": 4, "train_steps": 1}
    source = tiny_config(**settings, base_channels=4)
    loop.train(source)
    config = new_config(**settings, base_channels=8, init_from=source.run_dir)
    with pytest.raises(UserError, match="base channels: 4, here 8\nGive --base_channels=4"):
        loop.train(config)
    same = dataclasses.replace(config, base_channels=4, discriminator_norm="batch")
    dry_run.print_run(same)


def test_it_resumes_exactly_without_its_source_and_with_frozen_layers(
    trained_copy, tiny_config, tmp_path
):
    source = trained_copy()
    changes = {"freeze_discriminator": 2, "seed": 3, "discriminator_norm": "batch"}
    whole, parts = (
        tiny_config(run_dir=str(tmp_path / name), init_from=source.run_dir, **changes)
        for name in ("whole", "parts")
    )
    expected = _read_networks(source, 12)
    loop.train(whole)
    loop.train(dataclasses.replace(parts, train_steps=3))
    after = _read_networks(parts, 3)
    same = {name for name, value in after.items() if np.array_equal(value, expected[name])}
    # Two kernels and biases, and all four variables of the batch norm.
    assert same == {name for name in after if re.match("discriminator/[0-7]/", name)}
    shutil.rmtree(source.run_dir)
    loop.train(parts)
    assert_same_variables(read_variables(parts.run_dir), read_variables(whole.run_dir))
    for changed in ({"init_from": ""}, {"init_from": "runs/other"}, {"freeze_discriminator": 1}):
        with pytest.raises(UserError, match=f"{[*changed][0]}: was "):
            loop.train(dataclasses.replace(parts, **changed))


def test_a_run_killed_before_its_first_step_needs_no_source_either(
    trained_copy, new_config, monkeypatch
):
    source = trained_copy()
    config = new_config(init_from=source.run_dir, train_steps=1)
    _start_alone(config, monkeypatch)
    expected = _read_networks(source, 12)
    shutil.rmtree(source.run_dir)
    loop.train(config)
    assert_same_variables(_read_networks(config), expected)


def test_frozen_layers_show_in_a_dry_run_and_all_of_them_are_refused(new_config, capsys):
    dry_run.print_run(new_config(freeze_discriminator=1))
    assert "Non-trainable params: 48 " in capsys.readouterr().out
    message = "=3 leaves nothing of D to train: TinyDiscriminator has 3 .*freeze 2 or less"
    with pytest.raises(UserError, match=message):
        dry_run.print_run(new_config(freeze_discriminator=3))
