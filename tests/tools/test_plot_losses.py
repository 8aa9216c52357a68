"""The picture of the losses shows the numbers of `objectives`."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lsgan_tf.gan.objectives import LeastSquares, SigmoidCrossEntropy
from tools import plot_losses

COMMAND = [sys.executable, "-m", "tools.plot_losses"]
OBJECTIVES = {
    "cross entropy, non-saturating": SigmoidCrossEntropy(),
    "cross entropy, saturating": SigmoidCrossEntropy(saturating=True),
    "least squares, c = 1": LeastSquares(0, 1, 1),
    "least squares, c = 0": LeastSquares(-1, 1, 0),
}


def test_the_curves_are_those_of_the_objectives():
    curves = plot_losses.compute_curves(plot_losses.LOGITS)
    assert [curve.label for curve in curves] == list(OBJECTIVES)
    for curve in curves:
        assert curve.loss.shape == curve.slope.shape == plot_losses.LOGITS.shape
        for index in (0, 50, 60, 120):
            one = OBJECTIVES[curve.label].generator(plot_losses.LOGITS[index : index + 1])
            assert curve.loss[index] == pytest.approx(float(one), rel=1e-6)


@pytest.mark.parametrize(
    ("label", "slopes"),
    [
        ("cross entropy, non-saturating", [-0.99330715, -0.5, -0.00669285]),
        ("cross entropy, saturating", [-0.00669285, -0.5, -0.99330715]),
        ("least squares, c = 1", [-6, -1, 4]),
        ("least squares, c = 0", [-5, 0, 5]),
    ],
)
def test_the_slopes_are_those_worked_out_by_hand(label, slopes):
    curves = plot_losses.compute_curves(np.float32([-5, 0, 5]))
    (slope,) = (curve.slope for curve in curves if curve.label == label)
    np.testing.assert_allclose(slope, slopes, rtol=1e-5)


def test_both_panels_hold_both_families():
    """Each of the two colours is in both."""
    picture = np.asarray(Image.open(io.BytesIO(plot_losses.draw())).convert("RGB"))
    for colour in {curve.colour for curve in plot_losses.compute_curves(np.float32([0]))}:
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        drawn = (picture == wanted).all(axis=-1)
        middle = picture.shape[1] // 2
        assert drawn[:, :middle].sum() > 500
        assert drawn[:, middle:].sum() > 500


def test_the_command_writes_one_picture(tmp_path):
    path = tmp_path / "losses.png"
    path.write_bytes(b"an earlier one")
    done = subprocess.run([*COMMAND, f"--output={path}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{path}\n"
    assert list(tmp_path.iterdir()) == [path]
    assert Image.open(path).format == "PNG"
    assert path.stat().st_size < 150_000


@pytest.mark.parametrize(
    ("output", "message"),
    [("losses.jpg", "must end in .png"), ("none/losses.png", "not a directory")],
)
def test_an_output_that_cannot_be_is_refused(tmp_path, output, message):
    flag = f"--output={tmp_path / output}"
    done = subprocess.run([*COMMAND, flag], capture_output=True, text=True)
    assert done.returncode == 1
    assert message in done.stderr and flag in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
