"""A worker's part of checking a data set: one shard, record by record. No TensorFlow here."""

import dataclasses
import hashlib
import io
import warnings
import zlib
from array import array
from pathlib import Path

import numpy as np
from PIL import Image

from lsgan_tf.datasets import pictures, process_pool, shard_writer
from lsgan_tf.datasets.manifest import Manifest
from tools.verifying import example_parser, layout_check
from tools.verifying.contact_sheet import Choice, Gallery
from tools.verifying.faults import Faults
from tools.verifying.shard_reader import ShardReader

_PNG_CHUNK_BYTES = 12  # length, name and checksum around its data


@dataclasses.dataclass
class Statistics:
    """What is counted over all sound records; adding shards up gives the same in any order."""

    pixels: np.ndarray  # int64 [channels, 256]: how often each value occurs
    values: dict[str, np.ndarray]  # of each integer feature: how many records have each value
    digests: array  # 8 bytes for each image, equal for equal files
    records: int = 0

    @staticmethod
    def empty(contents: Manifest) -> "Statistics":
        names = layout_check.value_names(contents)
        return Statistics(
            pixels=np.zeros((contents.image_shape[2], 256), np.int64),
            values={name: np.zeros(len(names[name]), np.int64) for name in names},
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
    """What a worker found in one shard."""

    number: int
    faults: Faults
    statistics: Statistics
    gallery: Gallery


@dataclasses.dataclass(frozen=True)
class Context:
    """What every shard of a set is checked against."""

    directory: Path
    contents: Manifest
    choice: Choice


def check_shard(number: int, context: Context) -> ShardReport:
    """Checks shard `number` of the manifest, in a worker process."""
    check = _Check(number, context)
    with warnings.catch_warnings(action="ignore"):  # Pillow's, about images reported anyway
        check.run()
    return ShardReport(number, check.faults, check.statistics, check.gallery)


class _Check:
    def __init__(self, number: int, context: Context):
        self._number, self._context = number, context
        self._shard = context.contents.shards[number]
        self.faults = Faults()
        self.statistics = Statistics.empty(context.contents)
        self.gallery = Gallery(context.choice)

    def run(self) -> None:
        directory, file = self._context.directory, self._shard.file
        index = shard_writer.index_path(directory, file)
        try:
            with ShardReader(directory / file, index, self.faults) as reader:
                for where, record, payload in reader.payloads():
                    self._record(where, record, payload)
                self._compare(reader)
        except FileNotFoundError:
            self.faults.add(file, "it is missing")
        except OSError as error:
            self.faults.add(file, f"it cannot be read: {error.strerror or error}")

    def _record(self, where: str, record: int, payload: bytes) -> None:
        process_pool.count()
        names = layout_check.value_names(self._context.contents)
        try:
            values = example_parser.parse(payload, {"image": bytes, **dict.fromkeys(names, int)})
            encoded = values.pop("image")
            _check_values(values, names)
            image = decoded(encoded, self._context.contents)
        except (example_parser.Malformed, pictures.BadImage, _OutOfRange) as error:
            self.faults.add(where, str(error))
            return
        self.statistics.add(image, encoded, values)
        self.gallery.offer((self._number, record), values.get("label"), image)

    def _compare(self, reader: ShardReader) -> None:
        shard = self._shard
        found = {"bytes": reader.size, "sha256": reader.sha256()}
        if reader.complete:
            found["records"] = reader.count
        expected = {"bytes": shard.bytes, "sha256": shard.sha256, "records": shard.count}
        for what, value in found.items():
            if value != expected[what]:
                known = expected[what]
                self.faults.add(shard.file, f"{what}: {value}, but {known} in the manifest")


class _OutOfRange(ValueError):
    pass


def _check_values(values: dict[str, int], names: dict[str, tuple[str, ...]]) -> None:
    for name, value in values.items():
        if not 0 <= value < len(names[name]):
            raise _OutOfRange(f"its {name} is {value}, which is not in 0..{len(names[name]) - 1}")


def decoded(data: bytes, contents: Manifest) -> Image.Image:
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
            if not _is_whole(data, image.format):  # which Pillow does not mind
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
