"""What the comparison of scores refuses and prints, and our scores against the peers'.

The last needs an environment that has the peers, as tools/compare_scores.py tells, and pytest:

    peers/bin/python -m pytest --noconftest -o addopts= tests/tools/test_compare_scores.py
"""

import subprocess
import sys

import numpy as np
import pytest
from absl import flags

from lsgan_tf.utils.errors import UserError
from tools import compare_scores
from tools.compare_scores import Features, Row


def draw(count=60, shift=0.0, width=24, seed=0):
    """Correlated features, float32 [count, width]."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(9).standard_normal((width, width))
    return (rng.standard_normal((count, width)) @ mix + shift).astype(np.float32)


def probabilities(count=60, classes=7):
    values = np.random.default_rng(2).exponential(size=(count, classes)) ** 3
    values[0] = np.eye(classes)[3]  # log 0
    return (values / values.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def write(tmp_path):
    """Writes a sound file but for the given arrays; None leaves one out."""

    def call(**changes):
        arrays = {"real": draw(), "fake": draw(seed=1), "posteriors": probabilities(), **changes}
        path = tmp_path / "features.npz"
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        return str(path)

    return call


def test_a_sound_file(write):
    features = compare_scores.read(write())
    np.testing.assert_array_equal(features.real, draw())
    np.testing.assert_array_equal(features.fake, draw(seed=1))
    assert features.real.dtype == np.float32
    np.testing.assert_allclose(features.posteriors.sum(axis=1), 1.0, rtol=1e-15)
    assert compare_scores.read(write(posteriors=None)).posteriors is None


def with_nan(array):
    array[3, 2] = np.nan
    return array


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"real": None}, "holds no 'real'"),
        ({"fake": None}, "holds no 'fake'"),
        ({"real": with_nan(draw())}, "'real' holds NaN or infinity"),
        ({"posteriors": with_nan(probabilities())}, "'posteriors' holds NaN or infinity"),
        ({"fake": draw()[0]}, r"'fake' is float32 \(24,\); needed are two axes of floats"),
        ({"fake": draw().astype(np.int64)}, "'fake' is int64"),
        ({"real": draw(9)}, r"'real' is \(9, 24\); needed are 10 images"),
        ({"real": draw(width=23)}, "`real` has 23 features, `fake` 24"),
        ({"posteriors": probabilities(59)}, "59 `posteriors` for 60 `fake`"),
        ({"posteriors": draw()}, "no probabilities"),
        ({"posteriors": 2 * probabilities()}, "no probabilities"),
        ({"real": np.array([[None]])}, "damaged or holds no plain arrays"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(write, changes, message):
    with pytest.raises(UserError, match=message):
        compare_scores.read(write(**changes))


def test_a_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / "features.npz"
    with pytest.raises(UserError, match="there is no file"):
        compare_scores.read(str(path))
    path.write_bytes(b"")
    with pytest.raises(UserError, match="is no .npz"):
        compare_scores.read(str(path))


def test_a_missing_peer_is_named_and_told_how_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(UserError, match="torch-fidelity cannot be imported.*pip install torch"):
        compare_scores.load_peers()


@pytest.mark.parametrize(
    ("ours", "theirs", "difference"),
    [
        (2.0, 1.0, 0.5),
        (-1.0, 1.0, 2.0),
        (0.0, 0.0, 0.0),
        (0.0, -1e-15, 1e-6),
        (1.0, np.nan, np.inf),
        (np.inf, np.inf, np.inf),
    ],
)
def test_the_difference(ours, theirs, difference):
    assert Row("FID", "prdc", ours, theirs).difference == pytest.approx(difference)


@pytest.mark.parametrize(("theirs", "status"), [(1.0, 0), (1.00009, 0), (1.001, 1), (np.nan, 1)])
def test_the_status_and_the_last_line(write, monkeypatch, capsys, theirs, status):
    rows = [Row("FID", "numpy", 1.0, theirs), Row("KID", "numpy", 0.5, 0.5)]
    monkeypatch.setattr(compare_scores, "load_peers", lambda: None)
    monkeypatch.setattr(compare_scores, "compare", lambda features: rows)
    values = flags.FlagValues()
    flags.DEFINE_list("features", [write()], "", flag_values=values)
    flags.DEFINE_float("tolerance", 1e-4, "", flag_values=values)
    values.mark_as_parsed()
    monkeypatch.setattr(flags, "FLAGS", values)
    with pytest.raises(SystemExit) as ended:
        compare_scores.main()
    assert ended.value.code == status
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("60 real, 60 generated images, 24 features")
    assert lines[2].split()[:3] == ["FID", "numpy", np.__version__]
    assert [line.endswith("exceeds --tolerance") for line in lines[2:4]] == [status == 1, False]
    assert lines[4] == f"largest relative difference: {rows[0].difference:.1e}"


def test_copies_are_counted():
    real, fake = draw(), draw(seed=1)
    assert compare_scores._copies(Features(real, fake, None)) == 0
    fake[:5], real[0] = real[1], real[2]
    assert compare_scores._copies(Features(real, fake, None)) == 6


def test_the_command_starts_without_tensorflow():
    code = (
        "import runpy, sys; sys.modules.update(tensorflow=None, keras=None)\n"
        "sys.argv = ['compare_scores', '--features=none.npz']\n"
        "runpy.run_module('tools.compare_scores', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: --features: there is no file 'none.npz'\n"


@pytest.mark.parametrize("width", [24, 200], ids=["full rank", "more features than images"])
def test_our_scores_are_the_peers(width):
    for module in ("torch_fidelity", "torchmetrics", "cleanfid", "prdc"):
        pytest.importorskip(module, reason=f"{module} is in an environment of its own")
    compare_scores.load_peers()
    fake = draw(127, 0.2, width, seed=1) * np.float32(0.9)  # no multiple of ten
    features = Features(draw(150, width=width), fake, probabilities(127).astype(np.float64))
    rows = list(compare_scores.compare(features))
    assert [(row.score, row.peer) for row in rows] == [
        *(("FID", peer) for peer in ("torch-fidelity", "torchmetrics", "clean-fid")),
        *(("KID", peer) for peer in ("torch-fidelity", "torchmetrics", "clean-fid")),
        *((name, "torch-fidelity") for name in ("precision", "recall")),
        *((name, "prdc") for name in ("precision", "recall", "density", "coverage")),
        ("IS", "torch-fidelity"),
        ("IS deviation", "torch-fidelity"),
        ("IS", "torchmetrics"),
    ]
    assert {row.score: row for row in rows if row.difference > 1e-6} == {}
