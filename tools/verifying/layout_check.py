"""Checks the manifest of a data set, which files there are, and the metadata files."""

import dataclasses
import json
import os
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from lsgan_tf.datasets import manifest, pictures, shards
from lsgan_tf.datasets.manifest import Manifest
from lsgan_tf.utils.errors import UserError, first_line

from .faults import Faults, read_small_file

_MAX_SHOWN = 80  # characters of a value
# What access to fields of JSON with another structure raises.
_UNEXPECTED = (
    LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError,
)  # fmt: skip


def load_manifest(directory: Path) -> Manifest:
    """Reads the manifest of a set that can be checked.

    Raises:
        UserError: there is no set, its conversion is not finished, its manifest is not sound.
    """
    if not os.path.isdir(directory):  # False as well where the path is too long
        raise UserError(f"--dataset_dir={directory} is not a directory")
    if not os.path.exists(directory / manifest.FILE_NAME):
        if os.path.isdir(directory / shards.SCRATCH_DIRECTORY):
            raise UserError(
                f"the conversion into {directory} is not finished. Run the same command again, "
                "it continues."
            )
        raise UserError(f"{directory} is no converted data set: it has no {manifest.FILE_NAME}")
    contents = manifest.load(directory)
    height, width, _ = contents.image_shape
    if height * width > pictures.MAX_PIXELS:
        raise UserError(
            f"{directory / manifest.FILE_NAME} declares images of {height}x{width} pixels, which "
            "are too many; convert the data set again"
        )
    # They become part of file names.
    for name in contents.extra_features:
        if not re.fullmatch(r"\w+", name) or name in ("image", "label"):
            raise UserError(
                f"{directory / manifest.FILE_NAME} declares a feature {name!r}, which is not a "
                "valid name; convert the data set again"
            )
    return contents


def check(directory: Path, contents: Manifest, faults: Faults) -> list[str]:
    """Checks a data set without its records.

    Args:
        directory: the data set.
        contents: its manifest, from `load_manifest`.
        faults: what is wrong is added here.

    Returns:
        What is unusual without being a fault.
    """
    _check_names(contents, faults)
    _check_splits(contents, faults)
    _check_files(directory, contents, faults)
    _check_metadata(directory, contents, faults)
    listed = dict.fromkeys(shard.file for shard in contents.shards)
    return [
        f"{file} has no index: its records are searched each time it is opened"
        for file in listed
        if os.path.exists(directory / file)
        and not os.path.lexists(shards.index_path(directory, file))
    ]


def _check_names(contents: Manifest, faults: Faults) -> None:
    names = shards.file_names(contents.name, [shard.split for shard in contents.shards])
    for shard, expected in zip(contents.shards, names, strict=True):
        if shard.file != expected:
            faults.add(manifest.FILE_NAME, f"it lists {shard.file} where {expected} belongs")
    for feature, values in contents.value_names.items():
        for name, times in Counter(values).items():
            if times > 1:
                faults.add(manifest.FILE_NAME, f"{times} values of {feature} are named {name!r}")


def _check_splits(contents: Manifest, faults: Faults) -> None:
    counts: Counter[str] = Counter()
    for shard in contents.shards:
        counts[shard.split] += shard.count
    for split, count in counts.items():
        if not count:
            what = "has no records, and TensorFlow Datasets cannot read such a split"
            faults.add(manifest.FILE_NAME, f"its split {split!r} {what}")


def _check_files(directory: Path, contents: Manifest, faults: Faults) -> None:
    listed = {shard.file for shard in contents.shards}
    for name in _names(directory, faults):
        if ".tfrecord" in name and name not in listed:
            faults.add(name, f"{manifest.FILE_NAME} does not list it")
    indices = {shards.index_path(directory, file).name for file in listed}
    for name in _names(directory / shards.INDEX_DIRECTORY, faults):
        if name not in indices:
            faults.add(f"{shards.INDEX_DIRECTORY}/{name}", "it is the index of no shard")


def _names(directory: Path, faults: Faults) -> list[str]:
    """The names in a directory, except hidden ones, which file managers leave behind."""
    try:
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        faults.add(directory.name, f"it cannot be listed: {error.strerror}")
        return []


def _check_metadata(directory: Path, contents: Manifest, faults: Faults) -> None:
    """Compares the files that TensorFlow Datasets reads with what the manifest asks for."""
    try:
        expected = _expected_metadata(contents)
    except Exception as error:  # TensorFlow Datasets raises many kinds
        what = f"TensorFlow Datasets cannot read what it declares: {first_line(error)}"
        faults.add(manifest.FILE_NAME, what)
        expected = {}
    for file, wanted in expected.items():
        text = _read(directory / file, faults)
        if text is not None:
            _compare_json(file, text, wanted, faults)
    for feature, names in contents.value_names.items():
        file = f"{feature}.labels.txt"
        text = _read(directory / file, faults)
        if text is not None:
            _compare(file, "names", text.removesuffix("\n").split("\n"), list(names), faults)


def _expected_metadata(contents: Manifest) -> dict[str, dict[str, Any]]:
    """Writes the JSON files of a manifest anew; returns their contents by name."""
    from lsgan_tf.datasets import tfds_metadata  # slow to import, and the pool does not need it

    with tempfile.TemporaryDirectory() as scratch:
        for shard in contents.shards:
            Path(scratch, shard.file).touch()  # the writer finds the splits by these names
        # Source and tool are only in the description, which is not compared.
        tfds_metadata.write(Path(scratch), dataclasses.replace(contents, source="", tool=""))
        files = ("dataset_info.json", "features.json")
        return {file: json.loads(Path(scratch, file).read_bytes()) for file in files}


def _read(path: Path, faults: Faults) -> str | None:
    try:
        return read_small_file(path).decode()
    except OSError as error:
        faults.add(path.name, error.strerror or str(error))
    except UnicodeDecodeError:
        faults.add(path.name, "it is not UTF-8")
    return None


def _compare_json(file: str, text: str, expected: dict[str, Any], faults: Faults) -> None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        faults.add(file, f"it is not valid JSON: {error}")
        return
    if not isinstance(found, dict):
        faults.add(file, "it does not hold a JSON object")
        return
    try:
        if "splits" in expected:
            found, expected = found | {"description": expected["description"]}, dict(expected)
            _compare(
                file, "number of splits", len(found["splits"]), len(expected["splits"]), faults
            )
            for info in (found, expected):  # the order of splits does not matter
                info["splits"] = {split["name"]: split for split in info["splits"]}
        _compare(file, "", found, expected, faults)
    except _UNEXPECTED as error:
        faults.add(file, f"it is not laid out as expected: {type(error).__name__}: {error}")


def _compare(file: str, what: str, found: Any, expected: Any, faults: Faults) -> None:
    """Adds each field of objects that differs, and the first entry of each list that does."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted(found.keys() | expected.keys()):
            field = f"{what}.{key[:_MAX_SHOWN]}".removeprefix(".")
            _compare(file, field, found.get(key), expected.get(key), faults)
    elif isinstance(found, list) and isinstance(expected, list):
        _compare(file, f"number of {what}", len(found), len(expected), faults)
        for number, pair in enumerate(zip(found, expected, strict=False)):
            if pair[0] != pair[1]:
                _compare(file, f"{what}[{number}]", *pair, faults)
                return
    elif found != expected:
        wanted = _brief(expected)
        faults.add(file, f"{what}: {_brief(found)}, but the manifest asks for {wanted}")


def _brief(value: Any) -> str:
    return "nothing" if value is None else repr(value)[:_MAX_SHOWN]
