"""Writes a data set in the on-disk format; every converter and the embedded sets come through here.

    DIR/NAME-train.tfrecord-00000-of-00004   records: tf.train.Example {image, label, ...}
    DIR/index/NAME-....u64                   the offset of each record, for random access
    DIR/dataset_info.json, features.json     for tfds.builder_from_directory(DIR)
    DIR/manifest.json                        written last: a directory with it is complete
    DIR/unfinished/                          job.json and the state of complete shards; until then

A conversion that is killed and started again keeps its complete shards, writes the others anew,
and ends with the same bytes as one that was not interrupted. One that is started with other flags,
or after the source changed, deletes what is unfinished and begins anew; finished sets are never
changed.
"""

import dataclasses
import hashlib
import itertools
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import filelock

from lsgan_tf.datasets import manifest, notes, process_pool, shards
from lsgan_tf.datasets.catalog import TRAIN
from lsgan_tf.datasets.manifest import Manifest, Skipped, text
from lsgan_tf.datasets.shards import LeftOut, Record, ShardJob, ShardResult
from lsgan_tf.utils import files, progress
from lsgan_tf.utils.errors import UserError

__all__ = [
    "LOADABLE_NAME",
    "LeftOut",
    "Plan",
    "Record",
    "ShardJob",
    "Skipped",
    "another_set",
    "check_target",
    "dataset_name",
    "most_bad",
    "shard_bounds",
    "write",
]

LOADABLE_NAME = re.compile(r"\w[\w.-]*")  # of a directory that --dataset=NAME finds


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that decides the bytes of a data set, and how to make them.

    Two plans are the same job, and may continue each other's work, when all fields but `jobs` and
    `source` are equal and there are as many jobs: `source_identity` and `flags` must therefore
    determine what the jobs yield.
    """

    image_shape: tuple[int, int, int]  # height, width, channels (1 or 3)
    encoding: str  # "png" or "jpeg"
    class_names: tuple[str, ...] | None  # None: unlabelled
    source: str  # for people: the path or the name of what is converted
    source_identity: str  # changes when the source does, e.g. a digest of names and sizes
    tool: str  # the command, e.g. "tools.convert_images"
    flags: dict[str, Any]  # those of its flags that decide the bytes; JSON values
    jobs: list[ShardJob]
    # Further features of every record: the names of their values, which records number from 0.
    extra_features: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    # What the flags exclude and no job yields, for the report: what it is -> how much of it.
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def fingerprint(self) -> str:
        """Hex digest of what decides the bytes."""
        identity = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("jobs", "source")
        }
        identity |= {"format": manifest.FORMAT_VERSION, "jobs": len(self.jobs)}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def shard_bounds(images: int) -> list[tuple[int, int]]:
    """Cuts 0 .. images-1 into (start, stop) ranges, one per shard.

    Enough of them to work in parallel, none of them huge, and the same whatever the machine.
    """
    count = max(1, min(images // 256, 16), -(-images // 8192))
    bounds = [images * number // count for number in range(count + 1)]
    return list(itertools.pairwise(bounds))


def dataset_name(directory: Path) -> str:
    """The name in the shards' file names: the directory's, made fit for TensorFlow Datasets."""
    name = re.sub(r"\W+", "_", Path(directory).resolve().name, flags=re.ASCII).strip("_").lower()
    return name if name[:1].isalpha() else f"images_{name}".rstrip("_")


def check_target(directory: Path) -> Path:
    """Checks early, before a source is read, that `write` will accept this directory.

    Returns:
        The directory without symbolic links, so that it has one name for all processes.

    Raises:
        UserError: it is a file, holds what no conversion wrote, or another process writes to it.
    """
    directory = Path(directory).resolve()
    try:
        with _locked(directory, wait_for_lock=False):
            if not (directory / manifest.FILE_NAME).exists():
                shards.check_unfinished(directory, dataset_name(directory))
    except OSError as error:
        raise files.write_error(error, directory) from error
    if not LOADABLE_NAME.fullmatch(directory.name):
        print(
            f"warning: --dataset={directory.name!r} will not load this; name the directory with "
            "letters, digits, '.', '_' and '-'",
            file=sys.stderr,
        )
    return directory


def write(
    directory: Path,
    plan: Plan,
    *,
    processes: int,
    max_bad: int | str = 0,
    wait_for_lock: bool = False,
) -> Manifest:
    """Writes (or finishes, or finds already finished) the data set of `plan`.

    The processes of the pool are spawned and import the caller's main module: call this from a
    command that does not import TensorFlow.

    Args:
        directory: becomes the data set; empty, absent, or the work of an earlier conversion:
            finished, of this plan; or unfinished, of any.
        plan: of the data set.
        processes: the largest number of processes of the pool.
        max_bad: how many skipped images to accept; see `most_bad`.
        wait_for_lock: wait for another process that is writing here, instead of failing.

    Raises:
        UserError: the directory holds something else, another process writes to it, more than
            `max_bad` images were skipped, a split has no image, the disk is full, a process of
            the pool died.
    """
    directory = Path(directory).resolve()
    for names in (plan.class_names or (), *plan.extra_features.values()):
        _check_names(names)
    try:
        with _locked(directory, wait_for_lock):
            finished = _finished(directory, plan)
            if finished is None:
                shards.claim_directory(directory, dataset_name(directory), plan.fingerprint())
                results = _write_shards(directory, plan, processes, max_bad)
                finished = _complete(directory, plan, results)
            shutil.rmtree(directory / shards.SCRATCH_DIRECTORY, ignore_errors=True)
    except OSError as error:
        raise files.write_error(error, directory) from error
    return finished


def most_bad(max_bad: int | str, total: int) -> int:
    """How many of `total` images may be skipped: `max_bad` itself, or a share of them, "1.5%"."""
    if isinstance(max_bad, str) and max_bad.endswith("%"):
        return int(total * Fraction(max_bad.removesuffix("%")) / 100)
    return int(max_bad)


def _check_names(names: tuple[str, ...]) -> None:
    # TensorFlow Datasets stores them one per line and finds classes by name.
    for name, times in Counter(names).items():
        if times > 1:
            raise UserError(f"two classes are named {name!r}")
        if not name or len(name.splitlines()) > 1 or name != name.strip() or name != text(name):
            raise UserError(
                f"class name {text(name)!r}: a name is one line of UTF-8 text without blanks at "
                "its ends"
            )


def _locked(directory: Path, wait_for_lock: bool) -> filelock.FileLock:
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        # Beside the directory, so that the lock is no part of the data set.
        lock = filelock.FileLock(directory.parent / f".{directory.name}.lock")
        return lock.acquire(timeout=-1 if wait_for_lock else 0)
    except filelock.Timeout:
        raise UserError(f"another process is writing {directory}; wait for it or stop it") from None
    except OSError as error:
        raise UserError(f"cannot write to {directory.parent}: {error.strerror}") from error


def _finished(directory: Path, plan: Plan) -> Manifest | None:
    if not (directory / manifest.FILE_NAME).exists():
        return None
    finished = manifest.load(directory)
    if finished.job != plan.fingerprint():
        raise another_set(directory, finished)
    return finished


def another_set(directory: Path, finished: Manifest) -> UserError:
    """The error for a finished set in the place of the one to be written."""
    return UserError(
        f"{directory} already holds a data set made from {finished.source} with other flags or "
        f"from another state of the source (see {manifest.FILE_NAME} in it). Choose another "
        f"directory, such as --output_dir={files.free_directory(directory)}"
    )


def _write_shards(
    directory: Path, plan: Plan, processes: int, max_bad: int | str
) -> dict[str, ShardResult]:
    """Writes the shards that are missing; returns all results by file name, in order."""
    results: dict[str, ShardResult | None] = {}
    missing: list[process_pool.Task] = []
    kept = 0
    files = shards.file_names(dataset_name(directory), [job.split for job in plan.jobs])
    for job, file in zip(plan.jobs, files, strict=True):
        results[file] = shards.finished_shard(directory, file)
        if results[file] is None:
            missing.append(process_pool.Task(shards.write_shard, (job, directory, file)))
        else:
            kept += job.expected
    total = sum(job.expected for job in plan.jobs)
    with progress.bar(total=total, initial=kept, unit="image", desc=directory.name) as bar:
        for result in process_pool.run(missing, processes, bar):
            results[result.shard.file] = result
            # Beyond --max_bad it continues, to say how many there are: the restart is then short.
            if bad := _skipped(results)[0]:
                bar.set_postfix(bad=bad, refresh=False)
            if bad > most_bad(max_bad, total) + shards.MAX_LISTED_SKIPS:
                missing.clear()
    _check_bad(directory, results, max_bad, total)
    return results


def _skipped(results: dict[str, ShardResult | None]) -> tuple[int, tuple[Skipped, ...]]:
    """How many images were skipped, and the first of them."""
    complete = [result for result in results.values() if result]
    listed = itertools.chain.from_iterable(result.skipped for result in complete)
    first = tuple(itertools.islice(listed, shards.MAX_LISTED_SKIPS))
    return sum(result.skipped_count for result in complete), first


def _check_bad(
    directory: Path, results: dict[str, ShardResult | None], max_bad: int | str, total: int
) -> None:
    count, listed = _skipped(results)
    if count <= most_bad(max_bad, total):
        return
    at_least = "" if all(results.values()) else "at least "
    lines = [f"{skip.where}: {skip.why}" for skip in listed]
    path = directory / shards.SCRATCH_DIRECTORY / shards.SKIPPED_LIST
    files.write_bytes(path, "\n".join([*lines, ""]).encode())
    shown = "".join(f"\n  {line}" for line in lines[:5])
    more = f"\n  and {count - 5} more, listed in {path}" if count > 5 else ""
    raise UserError(
        f"{at_least}{count} of {total} images cannot be used, more than --max_bad={max_bad}:"
        f"{shown}{more}\nSkip them with --max_bad={count} or more, which keeps what is already "
        "converted, or repair them or move them elsewhere and start over with the same command."
    )


def _complete(directory: Path, plan: Plan, results: dict[str, ShardResult]) -> Manifest:
    skipped_count, skipped = _skipped(results)
    written = tuple(result.shard for result in results.values())
    counts = Counter()
    for shard in written:
        counts[shard.split] += shard.count
    for split, count in counts.items():
        if not count:  # TensorFlow Datasets reads no such split
            raise UserError(
                f"no image of {text(plan.source)} can be used for the split {split!r}; {directory} "
                "stays unfinished"
            )
    finished = Manifest(
        name=dataset_name(directory),
        image_shape=plan.image_shape,
        encoding=plan.encoding,
        class_names=plan.class_names,
        extra_features=plan.extra_features,
        source=text(plan.source),
        tool=plan.tool,
        flags=plan.flags,
        job=plan.fingerprint(),
        shards=written,
        skipped_count=skipped_count,
        skipped=skipped,
        left_out=plan.left_out,
        notes=_notes(plan, results),
    )
    # Imported only here, at the end and not in the pool, whose processes need none of it.
    from lsgan_tf.datasets import tfds_metadata

    tfds_metadata.write(directory, finished)
    finished.save(directory)
    return finished


def _notes(plan: Plan, results: dict[str, ShardResult]) -> dict[str, notes.Noted]:
    """Those of the shards, and which classes have lost all their images or never had one."""
    merged = notes.Notes(notes.merge(result.notes for result in results.values()))
    found = set()
    for result in results.values():
        if result.shard.split == TRAIN:
            found.update(result.labels)
    for number, name in enumerate(plan.class_names or ()):
        if number not in found:
            merged.add(notes.EMPTY_CLASSES, name)
    return dict(merged)
