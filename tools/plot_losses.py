"""Draws the generator's loss and its derivative as functions of the discriminator's logit.

    python -m tools.plot_losses --output=docs/losses.png

Cross entropy and least squares, after the figure of both losses in the ICCV 2017 paper; the
derivatives, the saturating form and c = 0 are added here.
"""

import dataclasses
import io
from pathlib import Path

import numpy as np
from absl import flags

from lsgan_tf.utils import command_line, files
from lsgan_tf.utils.errors import UserError

LOGITS = np.linspace(-6.0, 6.0, 121, dtype=np.float32)
_MARKED = 5.0  # the logit at which the derivatives are written out
_ORANGE, _BLUE = "#d1580a", "#1f6fc4"
_GREY = "#5c5c5c"


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """The generator's loss of one image, as a function of its logit."""

    label: str
    colour: str
    line: str
    loss: np.ndarray  # float32 [N]
    slope: np.ndarray  # float32 [N], the derivative of the loss, by automatic differentiation


def compute_curves(logits: np.ndarray) -> list[Curve]:
    """Computes the four curves at these logits, float32 [N]."""
    from lsgan_tf.gan.objectives import PRESETS, SigmoidCrossEntropy

    return [
        _curve("cross entropy, non-saturating", _ORANGE, "-", SigmoidCrossEntropy(), logits),
        _curve("cross entropy, saturating", _ORANGE, "--", SigmoidCrossEntropy(True), logits),
        _curve("least squares, c = 1", _BLUE, "-", PRESETS["binary"], logits),
        _curve("least squares, c = 0", _BLUE, "--", PRESETS["pearson"], logits),
    ]


def _curve(label, colour, line, objective, logits):
    import tensorflow as tf

    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = tf.map_fn(objective.generator, logits)
    return Curve(label, colour, line, losses.numpy(), tape.gradient(losses, logits).numpy())


def draw() -> bytes:
    """Draws the figure and returns it as a PNG file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.6), layout="constrained")
    loss, slope = figure.subplots(1, 2)
    for curve in compute_curves(LOGITS):
        style = {"color": curve.colour, "linestyle": curve.line, "linewidth": 2}
        loss.plot(LOGITS, curve.loss, label=curve.label, **style)
        slope.plot(LOGITS, curve.slope, **style)
    marked = compute_curves(np.float32([_MARKED]))
    for curve, below in zip(marked, (False, True, True, False), strict=True):
        _mark(slope, curve, below)
    loss.set(title="Loss of the generator", ylim=(-8.5, 18.5))
    slope.set(title="Its derivative", ylim=(-8.5, 7.5))
    for axes in (loss, slope):
        _label_axes(axes)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9.5)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()


def _mark(axes, curve, below):
    """Draws a dot and its value at the marked logit, where a generated image looks real to D."""
    (value,) = curve.slope
    axes.plot(_MARKED, value, "o", color=curve.colour, markersize=5)
    axes.annotate(
        f"{value:.3f}".rstrip("0").rstrip("."),
        (_MARKED, value),
        xytext=(0, -16) if below else (0, 8),
        textcoords="offset points",
        ha="center",
        color=curve.colour,
        fontsize=9.5,
    )


def _label_axes(axes):
    axes.set_xlim(LOGITS[0], LOGITS[-1])
    axes.set_xlabel("D's logit for a generated image")
    axes.axhline(0, color=_GREY, linewidth=0.8, zorder=1)
    style = {"transform": axes.transAxes, "color": _GREY, "fontsize": 9}
    axes.text(0.02, 0.02, "looks generated to D", ha="left", **style)
    axes.text(0.98, 0.02, "looks real to D", ha="right", **style)
    axes.spines[["top", "right"]].set_visible(False)


def _output(chosen: str) -> Path:
    if Path(chosen).suffix.lower() != ".png":
        raise UserError(f"--output={chosen} must end in .png")
    if not Path(chosen).parent.is_dir():
        raise UserError(
            f"--output={chosen}: {Path(chosen).parent} is not a directory; create it first"
        )
    return Path(chosen)


def main() -> None:
    path = _output(flags.FLAGS.output)
    command_line.start_tensorflow()
    files.write_bytes(path, draw())
    print(path)


if __name__ == "__main__":
    flags.DEFINE_string("output", None, "PNG to write, in place of what is there", required=True)
    command_line.run(main)
