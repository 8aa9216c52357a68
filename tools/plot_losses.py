"""Draws what the generator minimises, and its gradient, over the output of the discriminator.

    python -m tools.plot_losses --output=docs/losses.png

Cross entropy against least squares, after the figure of the ICCV 2017 paper that shows both losses;
the derivatives, the saturating form and c = 0 are added here.
"""

import dataclasses
import io
from pathlib import Path

import numpy as np
from absl import flags

from lsgan_tf.utils import command_line, files
from lsgan_tf.utils.errors import UserError

SCORES = np.linspace(-6.0, 6.0, 121, dtype=np.float32)
_MARKED = 5.0  # the score whose gradients are written out
_ORANGE, _BLUE = "#d1580a", "#1f6fc4"
_GREY = "#5c5c5c"


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """What G minimises, of one score at a time."""

    label: str
    colour: str
    line: str
    loss: np.ndarray  # float32 [N]
    slope: np.ndarray  # float32 [N], its derivative by automatic differentiation


def curves(scores: np.ndarray) -> list[Curve]:
    """The four that are drawn, at these scores, float32 [N]."""
    from lsgan_tf.gan.objectives import PRESETS, SigmoidCrossEntropy

    return [
        _curve("cross entropy, non-saturating", _ORANGE, "-", SigmoidCrossEntropy(), scores),
        _curve("cross entropy, saturating", _ORANGE, "--", SigmoidCrossEntropy(True), scores),
        _curve("least squares, c = 1", _BLUE, "-", PRESETS["binary"], scores),
        _curve("least squares, c = 0", _BLUE, "--", PRESETS["pearson"], scores),
    ]


def _curve(label, colour, line, objective, scores):
    import tensorflow as tf

    scores = tf.constant(scores)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        losses = tf.map_fn(objective.generator, scores)
    return Curve(label, colour, line, losses.numpy(), tape.gradient(losses, scores).numpy())


def draw() -> bytes:
    """The picture as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.6), layout="constrained")
    loss, slope = figure.subplots(1, 2)
    for curve in curves(SCORES):
        style = {"color": curve.colour, "linestyle": curve.line, "linewidth": 2}
        loss.plot(SCORES, curve.loss, label=curve.label, **style)
        slope.plot(SCORES, curve.slope, **style)
    marked = curves(np.float32([_MARKED]))
    for curve, below in zip(marked, (False, True, True, False), strict=True):
        _mark(slope, curve, below)
    loss.set(title="Loss of the generator", ylim=(-8.5, 18.5))
    slope.set(title="Its derivative", ylim=(-8.5, 7.5))
    for axes in (loss, slope):
        _furnish(axes)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9.5)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()


def _mark(axes, curve, below):
    """A dot and its number where a generated image looks real to D."""
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


def _furnish(axes):
    axes.set_xlim(SCORES[0], SCORES[-1])
    axes.set_xlabel("D's output for a generated image")
    axes.axhline(0, color=_GREY, linewidth=0.8, zorder=1)
    style = {"transform": axes.transAxes, "color": _GREY, "fontsize": 9}
    axes.text(0.02, 0.02, "looks generated to D", ha="left", **style)
    axes.text(0.98, 0.02, "looks real to D", ha="right", **style)
    axes.spines[["top", "right"]].set_visible(False)


def _output(chosen: str) -> Path:
    if Path(chosen).suffix.lower() != ".png":
        raise UserError(f"--output={chosen} must end in .png")
    if not Path(chosen).parent.is_dir():
        raise UserError(f"--output={chosen}: {Path(chosen).parent} is no directory; make it first")
    return Path(chosen)


def main() -> None:
    path = _output(flags.FLAGS.output)
    command_line.start_tensorflow()
    files.write_bytes(path, draw())
    print(path)


if __name__ == "__main__":
    flags.DEFINE_string("output", None, "PNG to write, in place of what is there", required=True)
    command_line.run(main)
