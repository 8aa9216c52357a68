"""What a run reports while it trains: lines on the screen, metrics.jsonl, TensorBoard."""

import contextlib
import functools
import time
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import summary as custom_scalars
from tensorboard.plugins.hparams import api as hparams
from tensorflow.core.util import event_pb2

from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils import progress

_SILENCE = 55.0  # seconds, after which a line is due: a call of the graph may take some as well
_TAGS = {
    "d_loss": "loss/discriminator",
    "d_penalty": "loss/discriminator_penalty",
    "g_loss": "loss/generator",
    "d_real": "logits/real",
    "d_fake": "logits/fake",
    "d_gradient_norm": "gradient_norm/discriminator",
    "g_gradient_norm": "gradient_norm/generator",
    "d_learning_rate": "learning_rate/discriminator",
    "g_learning_rate": "learning_rate/generator",
}


class Logbook:
    """Writes the metrics, scores and pictures of a run.

    Args:
        run: the run.
        objective: a `gan.objectives` objective, whose losses at the optimum are drawn beside the
            measured ones.
        batch_size: images per step.
        train_steps: the step the run ends at.
    """

    def __init__(self, run: Run, objective, *, batch_size: int, train_steps: int):
        self._run = run
        self._optimum = objective.optimum()
        self._batch_size = batch_size
        self._train_steps = train_steps
        self._clock = _Clock()
        self._last_line = time.monotonic()

    def start(self, step: int) -> None:
        """Drops what was written of steps after `step`, where the run begins or resumes."""
        self._run.forget_after(step)
        self._forget_events_after(step)
        self._clock.start(step)
        self._last_line = time.monotonic()

    @functools.cached_property
    def _writer(self):
        return tf.summary.create_file_writer(str(self._run.directory))

    def _forget_events_after(self, step):
        """Writes the event of a restart, upon which TensorBoard drops its data of later steps."""
        event = event_pb2.Event(
            wall_time=time.time(),
            step=step + 1,
            session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START),
        )
        tf.raw_ops.ImportEvent(writer=self._writer._resource, event=event.SerializeToString())

    def training(self) -> contextlib.AbstractContextManager:
        """A context whose time counts as training; the rest is sampling and saving."""
        return self._clock

    def config(self, text: str, values: Mapping[str, bool | int | float | str]) -> None:
        """Writes the resolved flags, one a line, as TensorBoard text, and their values, by which
        its page of hyperparameters compares runs; and which curves share a chart."""
        with self._writer.as_default(step=0):
            tf.summary.text("flags", "\n".join(f"    {line}" for line in text.splitlines()))
            hparams.hparams(dict(values))
            layout = custom_scalars.pb(_charts()).SerializeToString()
            tf.summary.experimental.write_raw_pb(layout)

    def pictures(self, name: str, step: int, picture: np.ndarray) -> None:
        """Writes a grid, uint8 [H, W, C], as TensorBoard image."""
        with self._writer.as_default(step=step):
            tf.summary.image(name, picture[None])

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Writes the mean metrics since the last call and the learning rates, finite floats by
        name, and a line on the screen."""
        steps_per_second = self._clock.rate(step)
        self._clock.start(step)
        images_per_second = steps_per_second * self._batch_size
        record = {"step": step, **values, "images_per_second": images_per_second}
        self._run.append_metrics({**record, "time": time.time()})
        with self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(_TAGS.get(name, name), value)
            for network, loss in self._optimum._asdict().items():
                if loss is not None:
                    tf.summary.scalar(f"loss/{network}_at_optimum", loss)
            tf.summary.scalar("speed/images_per_second", images_per_second)
        self._say_progress(step, values, steps_per_second)

    def is_silent(self) -> bool:
        """Whether a minute has almost passed without a line on the screen."""
        return time.monotonic() - self._last_line >= _SILENCE

    def progress(self, step: int, values: Mapping[str, float]) -> None:
        """Writes a line on the screen alone, between the calls of `metrics`, which go on from the
        same step as if there had been none. `values`: as of `metrics`, or nothing."""
        self._say_progress(step, values, self._clock.rate(step))

    def _say_progress(self, step, values, steps_per_second):
        losses = "".join(f"{k} {values[k]:.4f}  " for k in ("d_loss", "g_loss") if k in values)
        left = (self._train_steps - step) / steps_per_second if steps_per_second else 0
        progress.say(
            f"step {step}/{self._train_steps}  {losses}{steps_per_second:.2f} steps/s  "
            f"{steps_per_second * self._batch_size:.0f} images/s  {_format_duration(left)} left"
        )
        self._last_line = time.monotonic()

    def scores(self, step: int, scores: Sequence) -> None:
        """Writes scores, `metrics.scores.Score`s, and a line of them on the screen."""
        values = {score.name: score.value for score in scores}
        self._run.append_metrics({"step": step, "scores": values, "time": time.time()})
        with self._writer.as_default(step=step):
            for score in scores:
                tf.summary.scalar(f"scores/{score.title.replace(' ', '_')}", score.value)
        shown = "  ".join(f"{score.title} {score.value:.4g}" for score in scores)
        progress.say(f"step {step}: {shown}")

    def flush(self) -> None:
        """Writes buffered events to the disk, where TensorBoard reads them."""
        self._writer.flush()


class _Clock:
    """Sums the time spent inside `with clock`, and gives steps per second."""

    def __init__(self):
        self.start(0)

    def start(self, step):
        """Counts from a step on."""
        self._last_step, self._seconds = step, 0.0

    def __enter__(self):
        self._started = time.perf_counter()

    def __exit__(self, *_):
        self._seconds += time.perf_counter() - self._started

    def rate(self, step):
        """Steps per second since `start`."""
        return (step - self._last_step) / self._seconds if self._seconds else 0.0


def _charts() -> layout_pb2.Layout:
    """The charts of TensorBoard's custom scalars: the loss of each network with its optimum."""
    charts = [
        layout_pb2.Chart(
            title=network,
            multiline=layout_pb2.MultilineChartContent(tag=[f"loss/{network}(_at_optimum)?$"]),
        )
        for network in ("discriminator", "generator")
    ]
    return layout_pb2.Layout(
        category=[layout_pb2.Category(title="losses and their optima", chart=charts)]
    )


def _format_duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{seconds:02d}s"
