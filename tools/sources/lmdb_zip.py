"""Zips of LMDBs, as LSUN distributes them: unpacked until the conversion is finished."""

import os
import shutil
import zipfile
from pathlib import Path

import filelock

from lsgan_tf.utils import files, progress
from lsgan_tf.utils.errors import UserError

from . import archives

_BLOCK_BYTES = 1 << 20


def is_zip(path: Path) -> bool:
    """Whether `path` is a zip by its name."""
    return path.suffix.lower() == ".zip" and os.path.isfile(path)


def describe(path: Path) -> str:
    """Identifies the zip's content, whatever the zip's name.

    Raises:
        UserError: the zip is damaged, `archives.list_files` refuses it, or it holds no LMDB or
            several.
    """
    with archives.open_zip(path) as archive:
        member = _data_member(path, archive)
    return f"{member.filename}, {member.file_size} bytes, CRC-32 {member.CRC:08x}"


def unpack(path: Path, scratch: Path) -> Path:
    """Unpacks the one data.mdb of a zip, unless an earlier run has done so.

    Args:
        path: the zip.
        scratch: the directory to unpack into; created if it is absent.

    Returns:
        The LMDB's file, in `scratch`.

    Raises:
        UserError: as `describe` does, or the disk is too full, or `scratch` cannot be written to.
            If no LMDB is in `scratch` then, it is removed.
    """
    with archives.open_zip(path) as archive:
        member = _data_member(path, archive)
        target = scratch / f"{member.CRC:08x}-{member.file_size}.mdb"  # unique to this content
        try:
            scratch.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(scratch / "lock", timeout=0):
                try:
                    _unpack(path, archive, member, target)
                finally:
                    if not any(scratch.glob("*.mdb")):
                        shutil.rmtree(scratch, ignore_errors=True)
        except filelock.Timeout:
            raise UserError(f"another process is unpacking into {scratch}; wait for it") from None
        except OSError as error:
            raise UserError(
                f"cannot unpack {path} into {scratch}: {error.strerror}. Choose another directory "
                "with --scratch_dir"
            ) from error
    return target


def _unpack(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    for leftover in target.parent.glob(".*.tmp"):
        leftover.unlink()
    if not (target.exists() and target.stat().st_size == member.file_size):
        _check_space(path, member, target.parent)
        _copy(path, archive, member, target)


def _data_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = archives.list_files(path, archive)
    databases = [member for member in members if Path(member.filename).name == "data.mdb"]
    if len(databases) == 1:
        return databases[0]
    if not databases:
        first = ", ".join(member.filename for member in members[:3])
        raise UserError(
            f"{path} is not a zip of an LMDB: it holds no data.mdb, but {first or 'nothing'}"
        )
    names = ", ".join(member.filename for member in databases)
    raise UserError(f"{path} holds several LMDBs: {names}. Unpack it and pass one with --lmdb_dir")


def _check_space(path: Path, member: zipfile.ZipInfo, scratch: Path) -> None:
    free = shutil.disk_usage(scratch).free
    if member.file_size > free:
        raise UserError(
            f"{path}: unpacking {member.filename} takes {member.file_size / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free at {scratch}. Make room, or choose a directory on "
            "another disk with --scratch_dir"
        )


def _copy(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    size = member.file_size
    with (
        progress.bar(total=size, unit="B", unit_scale=True, desc=f"unpacking {path.name}") as bar,
        files.replacing(target) as out,
    ):
        for block in _blocks(path, archive, member):
            out.write(block)
            bar.update(len(block))


def _blocks(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo):
    done = 0
    try:
        with archive.open(member) as file:
            while block := file.read(_BLOCK_BYTES):  # never more than the declared size in all
                yield block
                done += len(block)
    except archives.BROKEN as error:
        raise UserError(
            f"{path} is damaged: {member.filename} cannot be unpacked beyond byte {done}: {error}. "
            "Download it again"
        ) from error
    if done != member.file_size:
        raise UserError(
            f"{path} is damaged: {member.filename} has {done} bytes, not the {member.file_size} "
            "that it declares. Download it again"
        )
