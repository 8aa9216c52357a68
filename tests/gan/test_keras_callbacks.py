"""Each of Keras' callbacks on a GAN: it works, or it is refused in a sentence."""

import csv
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import callbacks

from lsgan_tf.gan.model import GAN
from lsgan_tf.gan.optimizers import Adam, RateSchedule
from tests.tiny import PointDiscriminator, PointGenerator

POINTS = np.random.default_rng(0).uniform(-1, 1, (24, 1, 1, 1)).astype(np.float32)
RATES = ("learning_rate_generator", "learning_rate_discriminator")


def _gan(schedule=None, **kwargs):
    keras.utils.set_random_seed(1)
    gan = GAN(PointGenerator(), PointDiscriminator(), **kwargs)
    gan.compile(Adam(0.2, schedule=schedule), Adam(0.1))
    return gan


def _fit(gan, *chosen, epochs=3, data=POINTS, **kwargs):
    return gan.fit(
        data,
        batch_size=12,
        epochs=epochs,
        callbacks=list(chosen),
        shuffle=False,
        verbose=0,
        **kwargs,
    ).history


def _rates(gan):
    both = gan.generator_optimizer, gan.discriminator_optimizer
    return [float(optimizer.learning_rate.numpy()) for optimizer in both]


def test_the_document_names_every_callback():
    document = Path(__file__).parents[2] / "docs" / "library.md"
    named = re.findall(r"^\| `(\w+)`", document.read_text(encoding="utf-8"), re.MULTILINE)
    kinds = {name for name in dir(callbacks) if not name.startswith("_")}
    assert kinds - {"Callback", "CallbackList"} <= set(named)


def test_learning_rate_scheduler_sets_both_rates_each_from_its_own():
    gan = _gan()
    history = _fit(gan, callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2))
    assert _rates(gan) == pytest.approx([0.2 / 8, 0.1 / 8])
    assert history[RATES[0]] == pytest.approx([0.1, 0.05, 0.025])
    assert history[RATES[1]] == pytest.approx([0.05, 0.025, 0.0125])


def test_one_rate_is_set_through_its_optimizer():
    gan = _gan()

    def set_rate(epoch, logs):
        gan.discriminator_optimizer.learning_rate = 0.1 / (epoch + 1)

    _fit(gan, callbacks.LambdaCallback(on_epoch_begin=set_rate))
    assert _rates(gan) == pytest.approx([0.2, 0.1 / 3])


def test_reduce_on_plateau_reduces_both_rates():
    gan = _gan()
    plateau = callbacks.ReduceLROnPlateau("g_loss", 0.5, patience=1, mode="min", min_delta=1e9)
    history = _fit(gan, plateau)
    assert _rates(gan) == pytest.approx([0.05, 0.025])
    assert history[RATES[0]] == pytest.approx([0.2, 0.2, 0.1])


def test_a_rate_with_a_schedule_is_not_set_by_a_callback():
    gan = _gan(RateSchedule("linear", decay_steps=100))
    with pytest.raises(ValueError, match="generator's learning rate follows a RateSchedule"):
        _fit(gan, callbacks.LearningRateScheduler(lambda epoch, rate: rate))


def test_rate_callbacks_work_under_loss_scaling():
    gan = _gan()
    scaled = keras.optimizers.LossScaleOptimizer
    gan.compile(scaled(Adam(0.2)), scaled(Adam(0.1)))
    _fit(gan, callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2), epochs=1)
    assert _rates(gan) == pytest.approx([0.1, 0.05])


@pytest.mark.parametrize("broken", ["first", "later"])
def test_terminate_on_nan_stops(broken):
    data = POINTS.copy()
    data[0 if broken == "first" else 20] = np.nan
    gan = _gan()
    _fit(gan, callbacks.TerminateOnNaN(), data=data)
    assert int(gan.step.numpy()) == (1 if broken == "first" else 2)
    with pytest.raises(RuntimeError, match="NaN"):
        _fit(_gan(), callbacks.TerminateOnNaN(raise_error=True), data=data)


def test_early_stopping_and_best_checkpoints_watch_what_they_are_told(tmp_path):
    gan = _gan()
    history = _fit(
        gan,
        callbacks.EarlyStopping("val_d_loss", min_delta=1e9, patience=1, mode="min"),
        callbacks.ModelCheckpoint(
            tmp_path / "{epoch}.weights.h5",
            monitor="val_d_real",
            mode="max",
            save_best_only=True,
            save_weights_only=True,
        ),
        callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
        epochs=9,
        validation_data=(POINTS,),
    )
    assert len(history["d_loss"]) == 2
    best = int(np.argmax(history["val_d_real"])) + 1
    assert (tmp_path / f"{best}.weights.h5").exists()
    loaded = keras.saving.load_model(tmp_path / "2.keras")
    z = np.ones((3, 1), np.float32)
    np.testing.assert_allclose(loaded.predict(z, verbose=0), gan.predict(z, verbose=0))
    assert _rates(loaded) == pytest.approx([0.2, 0.1])


def test_early_stopping_restores_the_best_weights():
    gan = _gan()
    kept = []
    _fit(
        gan,
        callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(gan.get_weights())),
        callbacks.EarlyStopping("d_real", min_delta=1e9, mode="max", restore_best_weights=True),
    )
    for value, best in zip(gan.get_weights(), kept[0], strict=True):
        np.testing.assert_array_equal(value, best)


def test_a_fit_that_was_interrupted_goes_on_from_its_backup_to_the_same_weights(tmp_path):
    """Everything that the next step depends on is in it: both optimizers, the average, the step."""
    whole = _gan(ema_decay=0.9)
    _fit(whole, epochs=4)

    def interrupt(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    backup = callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        _fit(
            _gan(ema_decay=0.9), backup, callbacks.LambdaCallback(on_epoch_end=interrupt), epochs=4
        )
    resumed = _gan(ema_decay=0.9)
    history = _fit(resumed, callbacks.BackupAndRestore(tmp_path / "backup"), epochs=4)
    assert len(history["d_loss"]) == 2 and int(resumed.step.numpy()) == 8
    for one, other in zip(resumed.state, whole.state, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_logs_go_to_files_and_to_a_server(tmp_path, monkeypatch):
    gan = _gan()
    sent = []
    monkeypatch.setattr("requests.post", lambda root, **kwargs: sent.append(kwargs["json"]))
    history = _fit(
        gan,
        callbacks.CSVLogger(tmp_path / "log.csv"),
        callbacks.RemoteMonitor(send_as_json=True),
        callbacks.TensorBoard(tmp_path / "tb", histogram_freq=1, write_steps_per_second=True),
    )
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["g_loss"]) for row in rows] == pytest.approx(history["g_loss"], rel=1e-5)
    assert json.loads(json.dumps(sent))[-1]["d_loss"] == pytest.approx(history["d_loss"][-1])
    tags = set()
    for path in (tmp_path / "tb").rglob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            tags |= {value.tag for value in event.summary.value}
    assert {"epoch_d_loss", "epoch_g_loss", *(f"epoch_{name}" for name in RATES)} <= tags


def test_the_progress_bar_shows_the_losses(capfd):
    _gan().fit(POINTS, batch_size=12, verbose=2, callbacks=[callbacks.ProgbarLogger()])
    assert re.search(r"d_loss: \d.*g_loss: \d", capfd.readouterr().out)


@pytest.mark.parametrize("kind", [callbacks.SwapEMAWeights, callbacks.OrbaxCheckpoint])
def test_what_cannot_work_is_refused(kind):
    callback = kind.__new__(kind)  # the one needs a package that is not installed
    gan = _gan()
    for method in (gan.fit, gan.evaluate):
        for given in (callback, [[callback]]):
            with pytest.raises(ValueError, match=f"{kind.__name__} does not go with a GAN: it "):
                method(POINTS, verbose=0, callbacks=given)
    assert int(gan.step.numpy()) == 0
