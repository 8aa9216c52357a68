"""Data sets: found or rendered by name, served in batches that are a function of (seed, step)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lsgan_tf.datasets import manifest
from lsgan_tf.errors import UserError

if TYPE_CHECKING:
    from lsgan_tf.datasets.pipeline import Dataset

EMBEDDED = ("printed_digits",)


def load(name: str, data_dir: str, *, image_size: int = 0) -> Dataset:
    directory = Path(data_dir) / name
    if name in EMBEDDED and not (directory / manifest.FILE_NAME).exists():
        _render(name, data_dir)
    return _converted(name, directory, image_size)


def _render(name: str, data_dir: str) -> None:
    print(f"rendering data set {name} into {Path(data_dir) / name} (once)", file=sys.stderr)
    command = [sys.executable, "-m", "lsgan_tf.datasets.embedded"]
    done = subprocess.run([*command, f"--name={name}", f"--data_dir={data_dir}"], check=False)
    if done.returncode:
        raise UserError(f"rendering {name} into {data_dir} failed; the reason is printed above")


def _converted(name: str, directory: Path, image_size: int) -> Dataset:
    from lsgan_tf.datasets import decoding, record_files
    from lsgan_tf.datasets.pipeline import Dataset

    contents, records = record_files.converted(directory)
    decoder = decoding.converted(contents, image_size)
    return Dataset(name, records, decoder, contents.class_names, contents.fingerprint())
