"""The examples run as their files say."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

PROJECT = Path(__file__).resolve().parent.parent


def test_the_minimal_example_draws_a_grid_and_saves_a_model(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(8):
        pixels = rng.integers(0, 256, (20, 24, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    example = PROJECT / "examples" / "minimal.py"
    flags = ["--images=photos", "--side=16", "--batch_size=4", "--epochs=1"]
    subprocess.run(
        [sys.executable, example, *flags],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        check=True,
        timeout=300,
    )
    assert Image.open(tmp_path / "grid.png").size == (128, 128)
    assert (tmp_path / "gan.keras").stat().st_size > 1_000_000
    assert len(example.read_text().splitlines()) <= 100
