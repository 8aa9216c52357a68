"""The directory of an unfinished data set: which conversion wrote it, what may be deleted."""

import re
import sys
from pathlib import Path

from lsgan_tf.datasets import shard_writer
from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError

_MARKER = "job.json"


def check(directory: Path, name: str) -> None:
    """Raises `UserError` if `directory` holds a file that no unfinished conversion wrote."""
    _written_files(directory, name)


def claim(directory: Path, name: str, job: str) -> None:
    """Marks the directory as the work of `job`; deletes the unfinished work of another job.

    Args:
        directory: of the data set; the caller holds its lock.
        name: the data set's in the shards' file names.
        job: the plan's fingerprint.

    Raises:
        UserError: the directory holds a file that no unfinished conversion wrote; names it.
    """
    marker = directory / shard_writer.SCRATCH_DIRECTORY / _MARKER
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
    (directory / shard_writer.INDEX_DIRECTORY).mkdir(parents=True, exist_ok=True)
    marker.parent.mkdir(exist_ok=True)
    files.write_bytes(marker, job.encode())


def _written_files(directory: Path, name: str) -> list[Path]:
    """All files of `directory`, if an unfinished conversion into it has written each of them.

    Raises:
        UserError: it is a file itself, or holds another file, which is named.
    """
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory} is a file, not a directory")
    scratch, index = (
        re.escape(shard_writer.SCRATCH_DIRECTORY),
        re.escape(shard_writer.INDEX_DIRECTORY),
    )
    shard = rf"{re.escape(name)}-\w+\.tfrecord-\d{{5}}-of-\d{{5}}"
    metadata = r"(dataset_info|features)\.json|\w+\.labels\.txt"
    skipped = re.escape(shard_writer.SKIPPED_LIST)
    temporary = rf"\.({shard}(\.json|\.u64)?|(job|manifest)\.json|{skipped})\.\d+\.tmp"
    # Without a marker there is at most the temporary file of a marker.
    known = rf"{scratch}/\.{re.escape(_MARKER)}\.\d+\.tmp"
    if _is_marker(directory / shard_writer.SCRATCH_DIRECTORY / _MARKER):
        known = (
            rf"{scratch}/{re.escape(_MARKER)}|{scratch}/{shard}\.json|{scratch}/{skipped}"
            rf"|{index}/{shard}\.u64|{shard}|{metadata}|(({scratch}|{index})/)?{temporary}"
        )
    paths = [path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir()]
    for path in paths:
        if path.is_symlink() or not re.fullmatch(known, path.relative_to(directory).as_posix()):
            raise UserError(
                f"{directory} is not empty and holds what no unfinished conversion wrote: {path}. "
                "Choose another directory or empty this one."
            )
    return paths


def _is_marker(path: Path) -> bool:
    try:
        return re.fullmatch(rb"[0-9a-f]{64}", path.read_bytes()) is not None
    except FileNotFoundError:
        return False
