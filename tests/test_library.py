"""`from lsgan_tf import ...`: the public names, found without importing TensorFlow before."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import lsgan_tf

README = Path(__file__).resolve().parent.parent / "README.md"


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
