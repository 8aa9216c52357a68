"""Checks everything about a data set but its records: which files there are, and its metadata."""

import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

from lsgan_tf.datasets import manifest, pictures, shard_writer
from lsgan_tf.datasets.manifest import Manifest
from lsgan_tf.utils.errors import UserError
from tools.verifying.faults import Faults

_MAX_METADATA_BYTES = 1 << 26
_MAX_SHOWN = 80  # characters of a value
_VERSION = "1.0.0"  # of the data set, for TensorFlow Datasets
_CLASSES = "tensorflow_datasets.core.features."
# What looking up fields in JSON of another structure raises.
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
        if os.path.isdir(directory / shard_writer.SCRATCH_DIRECTORY):
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
    # They become names of files.
    for name in contents.extra_features:
        if not re.fullmatch(r"\w+", name) or name in ("image", "label"):
            raise UserError(
                f"{directory / manifest.FILE_NAME} declares a feature {name!r}, which is no name "
                "of one; convert the data set again"
            )
    return contents


def value_names(contents: Manifest) -> dict[str, tuple[str, ...]]:
    """The integer features that every record has, and the names of their values."""
    labels = {} if contents.class_names is None else {"label": contents.class_names}
    return {**labels, **contents.extra_features}


def check(directory: Path, contents: Manifest, faults: Faults) -> list[str]:
    """Adds what is wrong to `faults`; returns what is unusual without being wrong."""
    _check_names(contents, faults)
    _check_splits(contents, faults)
    _check_files(directory, contents, faults)
    _Metadata(directory, contents, faults).check()
    listed = dict.fromkeys(shard.file for shard in contents.shards)
    return [
        f"{file} has no index: its records are searched each time it is opened"
        for file in listed
        if os.path.exists(directory / file)
        and not os.path.lexists(shard_writer.index_path(directory, file))
    ]


def _check_names(contents: Manifest, faults: Faults) -> None:
    totals, numbers = Counter(shard.split for shard in contents.shards), Counter()
    for shard in contents.shards:
        number, total = numbers[shard.split], totals[shard.split]
        expected = f"{contents.name}-{shard.split}.tfrecord-{number:05}-of-{total:05}"
        if shard.file != expected:
            faults.add(manifest.FILE_NAME, f"it lists {shard.file} where {expected} belongs")
        numbers[shard.split] += 1
    for feature, names in value_names(contents).items():
        for name, times in Counter(names).items():
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
    indices = {shard_writer.index_path(directory, file).name for file in listed}
    for name in _names(directory / shard_writer.INDEX_DIRECTORY, faults):
        if name not in indices:
            faults.add(f"{shard_writer.INDEX_DIRECTORY}/{name}", "it is the index of no shard")


def _names(directory: Path, faults: Faults) -> list[str]:
    """What a directory holds but hidden files, which file managers and copying leave behind."""
    try:
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        faults.add(directory.name, f"it cannot be listed: {error.strerror}")
        return []


class _Metadata:
    """What TensorFlow Datasets reads, against the manifest."""

    def __init__(self, directory: Path, contents: Manifest, faults: Faults):
        self._directory, self._contents, self._faults = directory, contents, faults

    def check(self) -> None:
        self._check_file("dataset_info.json", self._compare_info)
        self._check_file("features.json", self._compare_features)
        for feature, names in value_names(self._contents).items():
            self._compare_names(f"{feature}.labels.txt", names)

    def _check_file(self, file: str, compare: Any) -> None:
        text = self._read(file)
        if text is None:
            return
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            self._faults.add(file, f"it is not valid JSON: {error}")
            return
        if not isinstance(data, dict):
            self._faults.add(file, "it does not hold a JSON object")
            return
        try:
            compare(file, data)
        except _UNEXPECTED as error:
            self._faults.add(
                file, f"it is not laid out as expected: {type(error).__name__}: {error}"
            )

    def _read(self, file: str) -> str | None:
        path = self._directory / file
        try:
            if not path.is_file():
                raise OSError("it is missing")
            with open(path, "rb") as opened:
                data = opened.read(_MAX_METADATA_BYTES + 1)
            if len(data) > _MAX_METADATA_BYTES:
                raise OSError(f"it has more than {_MAX_METADATA_BYTES} bytes")
            return data.decode()
        except OSError as error:
            self._faults.add(file, error.strerror or str(error))
        except UnicodeDecodeError:
            self._faults.add(file, "it is not UTF-8")
        return None

    def _compare_info(self, file: str, info: dict[str, Any]) -> None:
        contents = self._contents
        by_split: dict[str, list[manifest.Shard]] = {}
        for shard in contents.shards:
            by_split.setdefault(shard.split, []).append(shard)
        expected = {
            "description": str(info.get("description", "")),  # free text
            "fileFormat": "tfrecord",
            "name": contents.name,
            "splits": {name: _split_info(name, listed) for name, listed in by_split.items()},
            "version": _VERSION,
        }
        if contents.class_names is not None:
            keys = [{"featureKey": name} for name in ("image", "label")]
            expected["supervisedKeys"] = {"tuple": {"items": keys}}
        splits = {split["name"]: split for split in info["splits"]}  # in any order
        self._compare(file, "number of splits", len(info["splits"]), len(by_split))
        self._compare(file, "", info | {"splits": splits}, expected)

    def _compare_features(self, file: str, data: dict[str, Any]) -> None:
        contents = self._contents
        image = {
            "dtype": "uint8",
            "encodingFormat": contents.encoding,
            "shape": {"dimensions": [str(side) for side in contents.image_shape]},
        }
        features = {"image": {"image": image, "pythonClassName": _CLASSES + "image_feature.Image"}}
        for name, values in value_names(contents).items():
            features[name] = {
                "classLabel": _without_zeros(numClasses=len(values)),
                "pythonClassName": _CLASSES + "class_label_feature.ClassLabel",
            }
        expected = {
            "featuresDict": {"features": features},
            "pythonClassName": _CLASSES + "features_dict.FeaturesDict",
        }
        self._compare(file, "", data, expected)

    def _compare_names(self, file: str, names: tuple[str, ...]) -> None:
        text = self._read(file)
        if text is not None:
            self._compare(file, "names", text.removesuffix("\n").split("\n"), list(names))

    def _compare(self, file: str, what: str, found: Any, expected: Any) -> None:
        """Notes each field of objects that differs, and the first such entry of each list."""
        if isinstance(found, dict) and isinstance(expected, dict):
            for key in sorted(found.keys() | expected.keys()):
                field = f"{what}.{key[:_MAX_SHOWN]}".removeprefix(".")
                self._compare(file, field, found.get(key), expected.get(key))
        elif isinstance(found, list) and isinstance(expected, list):
            self._compare(file, f"number of {what}", len(found), len(expected))
            for number, pair in enumerate(zip(found, expected, strict=False)):
                if pair[0] != pair[1]:
                    self._compare(file, f"{what}[{number}]", *pair)
                    return
        elif found != expected:
            wanted = _brief(expected)
            self._faults.add(file, f"{what}: {_brief(found)}, but the manifest asks for {wanted}")


def _split_info(name: str, listed: list[manifest.Shard]) -> dict[str, Any]:
    return {
        "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        "name": name,
        "shardLengths": [str(shard.count) for shard in listed],
        **_without_zeros(numBytes=sum(shard.bytes for shard in listed)),
    }


def _without_zeros(**numbers: int) -> dict[str, str]:
    """As protocol buffers are written in JSON: 64 bits are strings, what is 0 is left out."""
    return {name: str(number) for name, number in numbers.items() if number}


def _brief(value: Any) -> str:
    return "nothing" if value is None else repr(value)[:_MAX_SHOWN]
