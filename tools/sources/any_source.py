"""Opens what --source names by what it is."""

import os
import re
from pathlib import Path

from lsgan_tf.utils.errors import UserError

from . import (
    archives,
    cifar_source,
    file_listing,
    idx_source,
    image_sources,
    messages,
    npz_source,
    parquet_source,
    tar_source,
    zip_folder,
)
from .image_sources import Choices, Source

_FILES = {
    (".zip",): archives.list_zip,
    tar_source.ENDINGS: tar_source.list_tar,
    (".npz",): npz_source.list_npz,
    (".npy",): npz_source.list_npy,
}


def open_source(path: Path, flag: str, choices: Choices) -> Source:
    """Lists the pictures of a source.

    Args:
        path: the source.
        flag: the flag that names it, for messages.
        choices: about labels, splits and names.

    Raises:
        UserError: it does not exist, is of no known kind, or its listing fails.
    """
    _check_encoding(choices.zip_encoding)
    kind = file_listing.kind(path)
    if kind == "folder":
        return _open_folder(path, choices)
    if kind is None:
        raise UserError(f"{flag}={path} does not exist")
    if idx_source.IMAGES.fullmatch(path.name):
        return idx_source.list_idx(path, [path], choices)
    if path.name.lower().endswith(parquet_source.ENDING):
        return parquet_source.list_parquet(path, [path], choices)
    for endings, list_file in _FILES.items():
        if path.name.lower().endswith(endings):
            return list_file(path, choices)
    known = " ".join(ending for endings in _FILES for ending in endings)
    raise UserError(
        f"{flag}={path} is neither a folder nor a file that ends in {known}, nor MNIST's "
        "images-idx3-ubyte"
    )


def _open_folder(path: Path, choices: Choices) -> Source:
    try:
        names = os.listdir(path)
    except OSError as error:
        raise UserError(f"cannot list {path}: {error.strerror}") from error
    names = sorted(name for name in names if not name.startswith("."))
    if idx := [path / name for name in names if idx_source.IMAGES.fullmatch(name)]:
        _tell_unused(path, names, idx_source.FILES)
        return idx_source.list_idx(path, idx, choices)
    if cifar_source.is_cifar(names):
        _tell_unused(path, names, cifar_source.FILES)
        return cifar_source.list_cifar(path, names, choices)
    if parquet := parquet_source.find(path, names):
        _tell_unused(path, names, parquet_source.FILES)
        return parquet_source.list_parquet(path, parquet, choices)
    if zips := zip_folder.find(path, names):
        _tell_unused(path, names, zip_folder.FILES)
        return zip_folder.list_zips(path, zips, choices)
    return image_sources.list_folder(path, choices)


def _tell_unused(path: Path, names: list[str], used: re.Pattern) -> None:
    if unused := [name for name in names if not used.fullmatch(name)]:
        messages.warn(f"not used: {messages.counted(unused, 'files')} of {path}")


def _check_encoding(encoding: str | None) -> None:
    try:
        "".encode(encoding or "utf-8")
    except (LookupError, ValueError) as error:
        raise UserError(
            f"--zip_encoding={encoding} is not known; for example gbk, shift_jis, cp1251"
        ) from error
