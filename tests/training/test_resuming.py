"""Resumed runs: bit for bit the same, and what may differ from the run that was stopped."""

import dataclasses

import pytest

from lsgan_tf.runs import checkpoints
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.training import loop
from lsgan_tf.utils.errors import UserError
from tests.run_contents import assert_same_variables, read_lines, read_variables


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            **{"conditional": True, "ema_decay": 0.9, "optimizer": "rmsprop"},
            **{"n_critic": 2, "shared_latents": False, "discriminator_learning_rate": 1e-3},
            **{"learning_rate_schedule": "cosine", "warmup_steps": 2},
        },
        {
            **{"schedule": "simultaneous", "loss_scale": 12.0},
            **{"logical_devices": 2, "steps_per_execution": 100, "mirror": True},
            **{"dtype_policy": "mixed_float16", "sync_batch_norm": False},
            **{"learning_rate_schedule": "linear"},
        },
        {
            **{"conditional": True, "ema_decay": 0.9, "discriminator_norm": "spectral"},
            **{"augment": "color,translation,cutout", "mirror": True, "logical_devices": 2},
            **{"penalty": "r1", "penalty_every": 3},  # due at steps 0, 3, 6 and 9, counted from 0
            **{"learning_rate_schedule": "cosine", "dtype_policy": "mixed_bfloat16"},
        },
    ],
    ids=["default", "n_critic", "simultaneous", "spectral"],
)
def test_resuming_is_exact(tiny_config, trained_once, changes):
    whole = trained_once(**changes)
    parts = tiny_config(**changes)
    loop.train(dataclasses.replace(parts, train_steps=5))  # 5 is no multiple of any cadence
    loop.train(parts)
    assert_same_variables(read_variables(parts.run_dir), read_variables(whole.run_dir))
    for config, steps, saved in (
        (whole, [3, 6, 9, 12], [4, 8, 12]),
        (parts, [3, 5, 6, 9, 12], [5, 8, 12]),
    ):
        run = Run(config.run_dir)
        assert [line["step"] for line in read_lines(run.metrics)] == steps
        assert checkpoints.available(run.checkpoints) == saved
        assert len(list(run.checkpoints.glob("step-*"))) == 2 * len(saved)  # index and data


def test_another_number_of_replicas_goes_on_to_rounding(trained_once, trained_copy, capsys):
    whole, resumed = trained_once(), trained_copy()
    (Run(resumed.run_dir).checkpoints / "step-12.index").unlink()  # as if stopped at step 8
    capsys.readouterr()
    loop.train(dataclasses.replace(resumed, logical_devices=2))
    out = capsys.readouterr().out
    assert "resuming with --logical_devices=2 (was 1)" in out
    assert "resuming on 2 replicas (was 1)" in out and "not bit for bit" in out
    losses, expected = (
        {line["step"]: line["d_loss"] for line in read_lines(Run(config.run_dir).metrics)}
        for config in (resumed, whole)
    )
    assert losses.keys() == expected.keys()
    for step in (3, 6, 12):  # at 9 the mean is over fewer steps than there
        assert losses[step] == pytest.approx(expected[step], rel=1e-3)


def test_changed_flags_are_refused(trained_copy):
    config = trained_copy()
    changed = dataclasses.replace(config, learning_rate=0.1, train_steps=14)
    with pytest.raises(UserError, match="learning_rate: was 0.0002, is 0.1"):
        loop.train(changed)
    loop.train(changed, allow_config_change=True)
    assert checkpoints.available(Run(config.run_dir).checkpoints)[-1] == 14
    rates = [
        value for name, value in read_variables(config.run_dir).items() if "learning_rate" in name
    ]
    assert rates == pytest.approx([0.1, 0.1])  # not the rate of the checkpoint of step 12


def test_constant_rates_can_be_let_fall_later(trained_copy):
    """By the steps from the run's beginning on, of which 12 are done."""
    config = trained_copy()
    falling = dataclasses.replace(
        config, learning_rate_schedule="linear", train_steps=18, decay_steps=24
    )
    with pytest.raises(UserError, match="decay_steps: was 0, is 24\n.*was constant, is linear"):
        loop.train(falling)
    loop.train(falling, allow_config_change=True)
    rates = {
        line["step"]: (line["g_learning_rate"], line["d_learning_rate"])
        for line in read_lines(Run(config.run_dir).metrics)
    }
    expected = {3: 2e-4, 12: 2e-4, 15: 2e-4 * 9 / 24, 18: 2e-4 * 6 / 24}
    for step, rate in expected.items():
        assert rates[step] == pytest.approx((rate, rate))
    with pytest.raises(UserError, match="decay_steps: was 24, is 20"):
        loop.train(dataclasses.replace(falling, train_steps=20, decay_steps=20))
