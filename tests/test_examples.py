"""The examples run as their files say."""

import runpy
import sys
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest
from PIL import Image

from lsgan_tf.datasets import digits, writer

PROJECT = Path(__file__).resolve().parent.parent


def test_the_minimal_example_draws_a_grid_and_saves_a_model(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(8):
        pixels = rng.integers(0, 256, (20, 24, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    example = PROJECT / "examples" / "minimal.py"
    flags = ["--images=photos", "--side=16", "--batch_size=4", "--epochs=1"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(example), *flags])
    runpy.run_path(str(example), run_name="__main__")
    assert Image.open(tmp_path / "grid.png").size == (128, 128)
    assert (tmp_path / "gan.keras").stat().st_size > 1_000_000
    assert len(example.read_text().splitlines()) <= 100


@pytest.mark.slow
def test_every_cell_of_the_notebook_runs(tmp_path, monkeypatch):
    """As it is but for the steps, on a hundredth of the digits."""
    writer.write(tmp_path / "data" / "printed_digits", digits.plan_printed(600), processes=1)
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    notebook = nbformat.read(PROJECT / "examples" / "quickstart.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in code)
    (steps,) = (cell for cell in code if cell.source.startswith("STEPS = "))
    steps.source = "STEPS = 2"

    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=300, resources=resources).execute()

    shown = [part for cell in code for part in cell.outputs if "data" in part]
    assert sum("image/png" in part.data for part in shown) == 5
    assert shown[-1].data["text/plain"] == "TensorShape([2, 28, 28, 1])"
    assert (tmp_path / "runs/quickstart/checkpoints/step-4.index").exists()
