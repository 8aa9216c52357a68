"""The formats of an exported generator: their names, their files, what they need."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lsgan_tf.utils.errors import UserError


class Format(NamedTuple):
    """A format; `--format` names it."""

    file: str  # beside one another; TensorFlow Serving asks for a directory named by the version
    packages: dict[str, str] = {}  # {module: what pip installs} besides the requirements


class Written(NamedTuple):
    """A file of an export, or the directory of a SavedModel, after it was read back."""

    format: str
    path: Path
    size: int  # bytes
    levels: int  # grey levels of 255: the largest difference from the run's generator
    share: float  # of the values that differ
    milliseconds: float  # for one image, in a batch


FORMATS = {
    "saved_model": Format("{version}"),
    "space": Format("space-{version}", {"gradio": "gradio"}),
    "keras": Format("generator-{version}.keras"),
    "onnx": Format(
        "generator-{version}.onnx", {"tf2onnx": "tf2onnx", "onnxruntime": "onnxruntime"}
    ),
    "litert": Format("generator-{version}.tflite", {"ai_edge_litert": "ai-edge-litert"}),
}


def check(names: Sequence[str]) -> tuple[str, ...]:
    """These names in the order of `FORMATS`, each once.

    Raises:
        UserError: there is no such format, or a package that it needs is not installed.
    """
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise UserError(
            f"--format={','.join(names)}: {unknown[0] if unknown else 'nothing'!r} is no format. "
            f"One or several of these, separated by commas: {', '.join(FORMATS)}."
        )
    chosen = tuple(name for name in FORMATS if name in names)
    for name in chosen:
        packages = FORMATS[name].packages
        missing = [packages[module] for module in packages if not importlib.util.find_spec(module)]
        if missing:
            raise UserError(
                f"--format={name} needs {' and '.join(missing)}, not installed here:  "
                f"{sys.executable} -m pip install {' '.join(missing)}"
            )
    return chosen
