"""A Hugging Face Space: the demo's page of one SavedModel, in a folder with all that it runs on."""

import importlib.metadata
import json
import platform
import shutil
from pathlib import Path

import lsgan_tf

# All of the package that the page imports there; lsgan_tf/demo.py is app.py.
_MODULES = ("__init__.py", "utils/*.py", *(f"inference/{name}.py" for name in (
    "__init__", "explorer", "interpolation",
)))  # fmt: skip
_CARD = """---
title: {title}
sdk: gradio
sdk_version: {gradio}
python_version: "{python}"
app_file: app.py
pinned: false
license: fill in
---

The images of a least-squares GAN: draw, keep, walk from one to the next, change them along their
principal directions. `python app.py` shows the page on this machine too, once `pip install -r
requirements.txt` has installed what it needs. `app.py` and `lsgan_tf/` are under the Apache License
2.0; the license of the model, above, is for you to fill in.
"""


def add_page(directory: Path, title: str) -> None:
    """Adds app.py and what it needs to a SavedModel.

    Args:
        directory: of the SavedModel.
        title: of the Space.
    """
    package = Path(lsgan_tf.__file__).parent
    for path in (path for pattern in _MODULES for path in package.glob(pattern)):
        target = directory / "lsgan_tf" / path.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    shutil.copyfile(package / "demo.py", directory / "app.py")
    versions = {name: importlib.metadata.version(name) for name in ("gradio", "tensorflow")}
    python = ".".join(platform.python_version_tuple()[:2])
    # A JSON string is one of YAML too.
    card = _CARD.format(title=json.dumps(title), gradio=versions["gradio"], python=python)
    (directory / "README.md").write_text(card, encoding="utf-8")
    lines = (f"{name}=={version}\n" for name, version in versions.items())
    (directory / "requirements.txt").write_text("".join(lines), encoding="utf-8")
