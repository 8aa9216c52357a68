"""The files of a data set that is being written: its shards, and what an earlier start left.

A process of the pool writes one shard at a time. No TensorFlow here.
"""

import dataclasses
import hashlib
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lsgan_tf.datasets import example, process_pool, tfrecord
from lsgan_tf.datasets.manifest import Shard, Skipped, text
from lsgan_tf.datasets.notes import Noted, Notes
from lsgan_tf.utils import files, typed_json
from lsgan_tf.utils.errors import UserError

INDEX_DIRECTORY = "index"
SCRATCH_DIRECTORY = "unfinished"
SKIPPED_LIST = "skipped.txt"  # in the scratch directory, when there are too many
MAX_LISTED_SKIPS = 10_000  # per data set; the rest is only counted
_MARKER = "job.json"


@dataclasses.dataclass(frozen=True)
class Record:
    """One image as it is to be stored."""

    image: bytes  # encoded
    label: int | None = None
    extra: Mapping[str, int] = dataclasses.field(default_factory=dict)
    where: str = ""  # as of `Skipped`, for the notes
    notes: tuple[str, ...] = ()  # what was done to it that the summary tells


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """A source image that the flags exclude; it does not count as bad."""

    where: str  # as of `Skipped`
    note: str


@dataclasses.dataclass(frozen=True)
class ShardJob:
    """What goes into one shard.

    `produce(*arguments)` is called in a process of the pool, so both are picklable, and yields the
    shard's records in order, with a `Skipped` in the place of each image that cannot be used and a
    `LeftOut` in that of each one that is not wanted. It must yield the same every time: a
    conversion that was killed starts its open shards anew.
    """

    produce: Callable[..., Iterable[Record | Skipped | LeftOut]]
    arguments: tuple[Any, ...]
    expected: int  # all that is yielded, for the progress bar
    split: str = "train"


@dataclasses.dataclass(frozen=True)
class ShardResult:
    """A complete shard, as its state file records it until the manifest is written."""

    shard: Shard
    skipped_count: int
    skipped: tuple[Skipped, ...]
    labels: tuple[int, ...]  # that occur, in rising order
    notes: Mapping[str, Noted] = dataclasses.field(default_factory=dict)


def write_shard(job: ShardJob, directory: Path, file: str) -> ShardResult:
    """Writes `directory/file`, its index and its state file, in this order, each atomically."""
    scratch = directory / SCRATCH_DIRECTORY
    digest = hashlib.sha256()
    offsets, skipped, skipped_count, notes, labels = [0], [], 0, Notes(), set()
    with files.replacing(directory / file, scratch) as out:
        for item in job.produce(*job.arguments):
            process_pool.count()
            if isinstance(item, Skipped):
                skipped_count += 1
                if len(skipped) < MAX_LISTED_SKIPS:
                    skipped.append(Skipped(text(item.where), text(item.why)))
                continue
            if isinstance(item, LeftOut):
                notes.add(item.note, text(item.where))
                continue
            for note in item.notes:
                notes.add(note, text(item.where))
            features = {"image": item.image, **item.extra}
            if item.label is not None:
                features["label"] = item.label
                labels.add(item.label)
            framed = tfrecord.frame(example.encode(features))
            digest.update(framed)
            out.write(framed)
            offsets.append(offsets[-1] + len(framed))
    files.write_bytes(index_path(directory, file), np.array(offsets, "<u8").tobytes())
    shard = Shard(file, job.split, len(offsets) - 1, offsets[-1], digest.hexdigest())
    result = ShardResult(shard, skipped_count, tuple(skipped), tuple(sorted(labels)), dict(notes))
    state = json.dumps(dataclasses.asdict(result)).encode()
    files.write_bytes(state_path(directory, file), state)  # with it the shard is complete
    return result


def finished_shard(directory: Path, file: str) -> ShardResult | None:
    """What an earlier start left complete of this shard, or None."""
    try:
        state = json.loads(state_path(directory, file).read_bytes())
        result = typed_json.parse(state, ShardResult)
        shard_bytes = os.path.getsize(directory / file)
        index_bytes = os.path.getsize(index_path(directory, file))
    except (FileNotFoundError, ValueError, typed_json.InvalidJson):
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


def check_unfinished(directory: Path, name: str) -> None:
    """Raises `UserError` if `directory` holds a file that no unfinished conversion wrote."""
    _written_files(directory, name)


def claim_directory(directory: Path, name: str, job: str) -> None:
    """Marks the directory as the work of `job`; deletes the unfinished work of another job.

    Args:
        directory: of the data set; the caller holds its lock.
        name: the data set's in the shards' file names.
        job: the plan's fingerprint.

    Raises:
        UserError: the directory holds a file that no unfinished conversion wrote; names it.
    """
    marker = directory / SCRATCH_DIRECTORY / _MARKER
    written = _written_files(directory, name)
    if marker.exists() and marker.read_bytes() == job.encode():
        for path in written:
            if path.name.startswith("."):  # temporary: a conversion was killed
                path.unlink()
        return
    if marker.exists():
        print(
            f"deleting the unfinished work in {directory}: it is of other flags or images",
            file=sys.stderr,
        )
    for path in written:
        if path != marker:  # it stays until it is replaced: a kill here changes nothing
            path.unlink()
    (directory / INDEX_DIRECTORY).mkdir(parents=True, exist_ok=True)
    marker.parent.mkdir(exist_ok=True)
    files.write_bytes(marker, job.encode())


def _written_files(directory: Path, name: str) -> list[Path]:
    """All files of `directory`, if an unfinished conversion into it has written each of them.

    Raises:
        UserError: it is a file itself, or holds another file, which is named.
    """
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory} is a file, not a directory")
    scratch, index = re.escape(SCRATCH_DIRECTORY), re.escape(INDEX_DIRECTORY)
    shard = rf"{re.escape(name)}-\w+\.tfrecord-\d{{5}}-of-\d{{5}}"
    metadata = r"(dataset_info|features)\.json|\w+\.labels\.txt"
    skipped = re.escape(SKIPPED_LIST)
    temporary = rf"\.({shard}(\.json|\.u64)?|(job|manifest)\.json|{skipped})\.\d+\.tmp"
    # Without a marker there is at most the temporary file of a marker.
    known = rf"{scratch}/\.{re.escape(_MARKER)}\.\d+\.tmp"
    if _is_marker(directory / SCRATCH_DIRECTORY / _MARKER):
        known = (
            rf"{scratch}/{re.escape(_MARKER)}|{scratch}/{shard}\.json|{scratch}/{skipped}"
            rf"|{index}/{shard}\.u64|{shard}|{metadata}|(({scratch}|{index})/)?{temporary}"
        )
    paths = [path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir()]
    for path in paths:
        if path.is_symlink() or not re.fullmatch(known, path.relative_to(directory).as_posix()):
            raise UserError(
                f"{directory} is not empty and holds what no unfinished conversion wrote: {path}. "
                "It stays as it is. Choose another directory, such as "
                f"--output_dir={files.free_directory(directory)}"
            )
    return paths


def _is_marker(path: Path) -> bool:
    try:
        return re.fullmatch(rb"[0-9a-f]{64}", path.read_bytes()) is not None
    except FileNotFoundError:
        return False
