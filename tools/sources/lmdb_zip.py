"""LSUN's LMDBs still zipped, as they are downloaded: unpacked for the time of the conversion."""

import shutil
import zipfile
import zlib
from pathlib import Path

import filelock
import tqdm

from lsgan_tf import atomic
from lsgan_tf.errors import UserError
from tools.sources import archives

_BLOCK_BYTES = 1 << 20


def is_zip(path: Path) -> bool:
    """Whether `path` is a zip by its name."""
    return path.suffix.lower() == ".zip" and path.is_file()


def describe(path: Path) -> str:
    """The zip's name and what tells its content from another's; raises as `unpack` does."""
    with archives.open_zip(path) as archive:
        member = _data_member(path, archive)
    return f"{path} ({member.filename}, CRC-32 {member.CRC:08x})"


def unpack(path: Path, scratch: Path) -> Path:
    """Unpacks the one data.mdb of a zip, unless an earlier start has done so.

    Args:
        path: the zip.
        scratch: the directory to unpack into; made if it is absent.

    Returns:
        The LMDB's file, in `scratch`.

    Raises:
        UserError: the zip is broken or hostile, holds no LMDB or several, or the disk is too full.
    """
    with archives.open_zip(path) as archive:
        member = _data_member(path, archive)
        target = scratch / f"{member.CRC:08x}.mdb"  # of this zip and no other
        _make(scratch)
        try:
            with filelock.FileLock(scratch / "lock", timeout=0):
                for leftover in scratch.glob(".*.tmp"):
                    leftover.unlink()
                if not (target.exists() and target.stat().st_size == member.file_size):
                    _check_space(path, member, scratch)
                    _copy(path, archive, member, target)
        except filelock.Timeout:
            raise UserError(f"another process is unpacking into {scratch}; wait for it") from None
    return target


def _data_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = archives.files(path, archive)
    found = [member for member in members if Path(member.filename).name == "data.mdb"]
    if len(found) == 1:
        return found[0]
    if not found:
        some = ", ".join(member.filename for member in members[:3])
        raise UserError(f"{path} holds no data.mdb, so no LMDB, but {some or 'nothing'}")
    names = ", ".join(member.filename for member in found)
    raise UserError(f"{path} holds several LMDBs: {names}. Unpack it and pass one with --lmdb_dir")


def _make(scratch: Path) -> None:
    try:
        scratch.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {scratch.parent}: {error.strerror}") from error


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
        tqdm.tqdm(total=size, unit="B", unit_scale=True, desc=f"unpacking {path.name}") as bar,
        atomic.replacing(target) as out,
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
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError) as error:
        raise UserError(
            f"{path} is damaged: {member.filename} cannot be unpacked beyond byte {done}: {error}. "
            "Download it again"
        ) from error
    if done != member.file_size:
        raise UserError(
            f"{path} is damaged: {member.filename} has {done} bytes, not the {member.file_size} "
            "that it declares. Download it again"
        )
