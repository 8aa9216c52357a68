"""`from lsgan_tf import ...`: the public names, found without importing TensorFlow before."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lsgan_tf

PROJECT = Path(__file__).resolve().parent.parent
README, LIBRARY = PROJECT / "README.md", PROJECT / "docs" / "library.md"


def test_importing_the_package_reading_flags_and_comparing_runs_does_without_tensorflow():
    code = (
        "import sys, lsgan_tf, lsgan_tf.runs.comparison; from lsgan_tf import config, recipes; "
        "config.Config(); recipes.table(); "
        "print(sorted({'tensorflow', 'keras'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_names_are_the_objects_of_their_modules():
    from lsgan_tf import GAN, Adam, DCGANGenerator, LeastSquares
    from lsgan_tf.gan import model, objectives, optimizers
    from lsgan_tf.networks import dcgan

    assert GAN is model.GAN and LeastSquares is objectives.LeastSquares
    assert Adam is optimizers.Adam and DCGANGenerator is dcgan.DCGANGenerator
    for name in lsgan_tf.__all__:
        assert getattr(lsgan_tf, name).__name__ == name
    assert set(lsgan_tf.__all__) <= set(dir(lsgan_tf))


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'lsgan_tf' has no attribute 'Gan'"):
        _ = lsgan_tf.Gan
    with pytest.raises(ImportError, match="cannot import name 'Gan'"):
        from lsgan_tf import Gan  # noqa: F401


def test_the_readme_imports_what_there_is():
    section = README.read_text(encoding="utf-8").split("\n## As a library\n")[1].split("\n## ")[0]
    imported = re.findall(r"^from lsgan_tf import (.*)$", section, re.MULTILINE)
    names = {name.strip() for line in imported for name in line.split(",")}
    assert {"GAN", "LeastSquares", "AroundData"} <= names <= set(lsgan_tf.__all__)


@pytest.mark.slow
def test_every_block_of_the_librarys_document_runs(tmp_path, monkeypatch):
    """One after the other, as in a notebook; their files are where the document says."""
    from tests import feature_networks
    from tools import convert_images

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (32, 32, 32, 1), np.uint8)
    np.savez("photos.npz", images=images)
    convert_images.convert(
        Path("photos.npz"), Path("data/photos"), convert_images.Options(image_size=32)
    )
    Path("photos").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(f"photos/{number}.png")
    feature_networks.keras_file(tmp_path / "features.keras", side=32)

    text = LIBRARY.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == text.count("```python") >= 12
    scope = {"images": images, "labels": np.arange(32) % 3, "__name__": "library"}
    for block in blocks:
        exec(compile(block, "docs/library.md", "exec"), scope)
    for path in ("samples/0002.png", "best.keras", "logs", "gan.keras", "first.png", "served"):
        assert (tmp_path / path).exists(), path
    assert (tmp_path / "runs/photos/checkpoints/step-2.index").exists()
    assert scope["config"].train_steps == 100


def test_the_librarys_document_names_what_there_is():
    text = LIBRARY.read_text(encoding="utf-8")
    imported = re.findall(r"^from lsgan_tf import (.*)$", text, re.MULTILINE)
    names = {name.strip() for line in imported for name in line.split(",")} - {"recipes"}
    assert {"ModelGenerator", "Scores", "RateSchedule"} <= names <= set(lsgan_tf.__all__)
