"""Checks one shard, record by record, in a process of the pool. No TensorFlow here."""

import dataclasses
import hashlib
import io
import os
import warnings
import zlib
from array import array
from pathlib import Path

import numpy as np
from PIL import Image

from lsgan_tf.datasets import example, pictures, process_pool, shards, tfrecord
from lsgan_tf.datasets.manifest import Manifest

from .contact_sheet import Gallery
from .faults import Faults, read_small_file

_PNG_CHUNK_BYTES = 12  # length, name and checksum around its data


@dataclasses.dataclass
class Statistics:
    """Counts over all sound records; they do not depend on the order in which shards are merged."""

    pixels: np.ndarray  # int64 [channels, 256]: how often each value occurs
    values: dict[str, np.ndarray]  # of each integer feature: how many records have each value
    digests: array  # 8 bytes for each image, equal for equal files
    records: int = 0

    @staticmethod
    def empty(contents: Manifest) -> "Statistics":
        """Counts of no records."""
        return Statistics(
            pixels=np.zeros((contents.image_shape[2], 256), np.int64),
            values={
                name: np.zeros(len(names), np.int64) for name, names in contents.value_names.items()
            },
            digests=array("Q"),
        )

    def add(self, image: Image.Image, encoded: bytes, values: dict[str, int]) -> None:
        """Counts one record."""
        self.records += 1
        self.pixels += np.array(image.histogram()).reshape(self.pixels.shape)
        self.digests.frombytes(hashlib.blake2b(encoded, digest_size=8).digest())
        for name, value in values.items():
            self.values[name][value] += 1

    def merge(self, other: "Statistics") -> None:
        """Adds the counts of other records."""
        self.records += other.records
        self.pixels += other.pixels
        self.digests += other.digests
        for name, counts in other.values.items():
            self.values[name] += counts


@dataclasses.dataclass(frozen=True)
class ShardReport:
    """What was found in one shard; filled while it is checked."""

    number: int
    faults: Faults
    statistics: Statistics
    gallery: Gallery


def check_shard(number: int, directory: Path, contents: Manifest) -> ShardReport:
    """Checks shard `number` of the manifest.

    Args:
        number: the shard's place in the manifest.
        directory: of the data set.
        contents: its manifest.
    """
    report = ShardReport(number, Faults(), Statistics.empty(contents), Gallery.of(contents))
    file = contents.shards[number].file
    with warnings.catch_warnings(action="ignore"):  # Pillow warns of images that are reported here
        try:
            if (directory / file).exists() and not (directory / file).is_file():
                raise OSError("it is not a file")  # reading a pipe would block
            _check_file(report, directory, contents)
        except FileNotFoundError:
            report.faults.add(file, "it is missing")
        except OSError as error:
            report.faults.add(file, f"it cannot be read: {error.strerror or error}")
    return report


def _check_file(report: ShardReport, directory: Path, contents: Manifest) -> None:
    shard = contents.shards[report.number]
    path, index_path = directory / shard.file, shards.index_path(directory, shard.file)
    index_name = f"{index_path.parent.name}/{index_path.name}"
    try:
        index = read_small_file(index_path) if os.path.lexists(index_path) else None
    except OSError as error:
        report.faults.add(index_name, f"it cannot be read: {error.strerror or error}")
        index = None
    offsets, complete = _check_records(report, path, contents, _entries(index or b""))
    if index is not None:
        wrong = _compare_index(index, offsets, complete)
        if wrong:
            report.faults.add(index_name, wrong)
    with open(path, "rb") as file:  # the second time: the system still has it in memory
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    compared = [("bytes", os.path.getsize(path), shard.bytes), ("sha256", sha256, shard.sha256)]
    if complete:
        compared.append(("records", len(offsets) - 1, shard.count))
    for what, value, expected in compared:
        if value != expected:
            report.faults.add(shard.file, f"{what}: {value}, but {expected} in the manifest")


def _check_records(
    report: ShardReport, path: Path, contents: Manifest, index: list[int]
) -> tuple[list[int], bool]:
    """Checks all records of a shard.

    Returns:
        The offset of each record and the end of the last one; whether that is the file's end.
    """
    offsets = [0]
    for number, frame in enumerate(tfrecord.frames(path, index, pictures.MAX_FILE_BYTES)):
        where = f"{path.name}: record {number} at offset {frame.offset}"
        if frame.damage:
            report.faults.add(where, frame.damage)
        else:
            _check_record(report, contents, where, number, frame.payload)
        if frame.end is None:
            return offsets, False
        offsets.append(frame.end)
    return offsets, True


def _entries(index: bytes) -> list[int]:
    return np.frombuffer(index, "<u8", len(index) // 8).tolist()


def _compare_index(index: bytes, offsets: list[int], complete: bool) -> str | None:
    """Compares an index with the offsets of the records; returns the first difference."""
    entries = _entries(index)
    for number, offset in enumerate(offsets):
        if number == len(entries):
            return f"it ends before entry {number}, which would be {offset}"
        if entries[number] != offset:
            return f"entry {number} is {entries[number]}, not {offset}"
    expected = 8 * len(offsets)
    if complete and len(index) != expected:
        return f"it has {len(index)} bytes, not {expected}"
    return None


def _check_record(
    report: ShardReport, contents: Manifest, where: str, number: int, payload: bytes
) -> None:
    process_pool.count()
    kinds = {"image": bytes, **dict.fromkeys(contents.value_names, int)}
    try:
        values = example.decode(payload, kinds)
        encoded = values.pop("image")
        _check_values(values, contents.value_names)
        image = _decode_image(encoded, contents)
    except (example.Malformed, pictures.BadImage, _OutOfRange) as error:
        report.faults.add(where, str(error))
        return
    report.statistics.add(image, encoded, values)
    report.gallery.offer((report.number, number), values.get("label"), image)


class _OutOfRange(ValueError):
    pass


def _check_values(values: dict[str, int], names: dict[str, tuple[str, ...]]) -> None:
    for name, value in values.items():
        if not 0 <= value < len(names[name]):
            raise _OutOfRange(f"its {name} is {value}, which is not in 0..{len(names[name]) - 1}")


def _decode_image(data: bytes, contents: Manifest) -> Image.Image:
    """Decodes an image that must be as the manifest says; raises `BadImage` if it is not."""
    height, width, channels = contents.image_shape
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            found = (image.format, image.height, image.width, image.mode)
            expected = (contents.encoding.upper(), height, width, "L" if channels == 1 else "RGB")
            if found != expected:
                kinds = ("{} {}x{} {}".format(*kind) for kind in (found, expected))
                raise pictures.BadImage("its image is {}, not {}".format(*kinds))
            image.load()
            if not _is_whole(data, image.format):  # Pillow decodes what TensorFlow does not
                raise pictures.BadImage(f"its image is not a whole {image.format}")
            if image.has_transparency_data:
                raise pictures.BadImage("its image has a transparent colour")
            return image
    except pictures.BadImage:
        raise
    except Exception as error:  # damaged pictures raise nearly anything in Pillow's plugins
        raise pictures.BadImage(f"its image does not decode: {pictures.reason(error)}") from error


def _is_whole(data: bytes, kind: str) -> bool:
    if kind == "JPEG":
        return data.endswith(b"\xff\xd9")
    at = len(b"\x89PNG\r\n\x1a\n")
    while at + _PNG_CHUNK_BYTES <= len(data):
        end = at + _PNG_CHUNK_BYTES + int.from_bytes(data[at : at + 4])
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return end == len(data)
        at = end
    return False
