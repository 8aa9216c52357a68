"""Writes one TFRecord shard, its index and its state file, in a process of the pool.

No TensorFlow here.
"""

import dataclasses
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lsgan_tf.datasets import example, process_pool, tfrecord
from lsgan_tf.datasets.manifest import Shard, Skipped, text
from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError

INDEX_DIRECTORY = "index"
SCRATCH_DIRECTORY = "unfinished"
SKIPPED_LIST = "skipped.txt"  # in the scratch directory, when there are too many
MAX_LISTED_SKIPS = 10_000  # per data set; the rest is only counted


@dataclasses.dataclass(frozen=True)
class Record:
    """One image as it is to be stored."""

    image: bytes  # encoded
    label: int | None = None
    extra: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class ShardJob:
    """What goes into one shard.

    `produce(*arguments)` is called in a process of the pool, so both are picklable, and yields the
    shard's records in order, with a `Skipped` in the place of each image that cannot be used. It
    must yield the same every time: a conversion that was killed starts its open shards anew.
    """

    produce: Callable[..., Iterable[Record | Skipped]]
    arguments: tuple[Any, ...]
    expected: int  # records and skips together, for the progress bar
    split: str = "train"


@dataclasses.dataclass(frozen=True)
class ShardResult:
    """A complete shard, as its state file records it until the manifest is written."""

    shard: Shard
    skipped_count: int
    skipped: tuple[Skipped, ...]

    def save(self, path: Path) -> None:
        """Writes the state file, which declares the shard complete."""
        files.write_bytes(path, json.dumps(dataclasses.asdict(self)).encode())

    @staticmethod
    def load(path: Path) -> "ShardResult":
        """Reads a state file written by `save`."""
        data = json.loads(path.read_bytes())
        skipped = tuple(Skipped(**entry) for entry in data["skipped"])
        return ShardResult(Shard(**data["shard"]), data["skipped_count"], skipped)


def write_shard(job: ShardJob, directory: Path, file: str) -> ShardResult:
    """Writes `directory/file`, its index and its state file, in this order, each atomically."""
    scratch = directory / SCRATCH_DIRECTORY
    digest = hashlib.sha256()
    offsets, skipped, skipped_count = [0], [], 0
    with files.replacing(directory / file, scratch) as out:
        for item in job.produce(*job.arguments):
            process_pool.count()
            if isinstance(item, Skipped):
                skipped_count += 1
                if len(skipped) < MAX_LISTED_SKIPS:
                    skipped.append(Skipped(text(item.where), text(item.why)))
                continue
            framed = tfrecord.frame(_payload(item))
            digest.update(framed)
            out.write(framed)
            offsets.append(offsets[-1] + len(framed))
    files.write_bytes(index_path(directory, file), np.array(offsets, "<u8").tobytes())
    shard = Shard(file, job.split, len(offsets) - 1, offsets[-1], digest.hexdigest())
    result = ShardResult(shard, skipped_count, tuple(skipped))
    result.save(state_path(directory, file))
    return result


def finished_shard(directory: Path, file: str) -> ShardResult | None:
    """What an earlier start left complete of this shard, or None."""
    try:
        result = ShardResult.load(state_path(directory, file))
        shard_bytes = os.path.getsize(directory / file)
        index_bytes = os.path.getsize(index_path(directory, file))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None  # a broken state file: the shard is written anew
    except OSError as error:
        raise UserError(
            f"cannot continue: {state_path(directory, file)} cannot be read: {error.strerror}"
        ) from error
    sound = shard_bytes == result.shard.bytes and index_bytes == 8 * (result.shard.count + 1)
    return result if sound else None


def file_names(name: str, splits: Sequence[str]) -> list[str]:
    """The files of a data set: of the shards, in order, whose splits these are."""
    totals, numbers = Counter(splits), Counter()
    files = []
    for split in splits:
        files.append(f"{name}-{split}.tfrecord-{numbers[split]:05}-of-{totals[split]:05}")
        numbers[split] += 1
    return files


def index_path(directory: Path, file: str) -> Path:
    """The sidecar of a shard: its record offsets, little-endian uint64, and its size."""
    return directory / INDEX_DIRECTORY / f"{file}.u64"


def state_path(directory: Path, file: str) -> Path:
    """The state file of a shard while its data set is unfinished."""
    return directory / SCRATCH_DIRECTORY / f"{file}.json"


def _payload(record: Record) -> bytes:
    features = {"image": record.image, **record.extra}
    if record.label is not None:
        features["label"] = record.label
    return example.encode(features)
