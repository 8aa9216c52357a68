"""Reads LMDBs of pictures as LSUN lays them out: a key per picture, an encoded image as its value.

An LMDB is mapped into memory, and the pages read so far count as memory of the process. It is
therefore reopened every few hundred pictures, which releases them.
"""

import contextlib
import dataclasses
import hashlib
import io
import itertools
import os
import re
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import lmdb

from lsgan_tf.datasets import pictures, process_pool
from lsgan_tf.utils.errors import UserError

from . import contents
from .contents import Contents
from .readers import FileReader

_DATA_FILE = "data.mdb"
_MIN_ENTRY_BYTES = 10  # of an entry in a page without key and value: a header and a pointer
_ENTRIES_PER_OPENING = 256
_SAMPLED = 32  # entries, which show whose layout it is
_HEAD_BYTES = 16
_PICTURE = re.compile(  # the first bytes of the formats that `pictures` decodes
    rb"\xff\xd8\xff|\x89PNG|RIFF....WEBP|GIF8|BM|II\*\0|MM\0\*|P[1-6][\s#]|....ftyp", re.S
)
_PICKLE = re.compile(rb"\x80[\2-\5]|[(\]}]")


@dataclasses.dataclass(frozen=True)
class Listing:
    """The result of a pass over the keys."""

    starts: tuple[bytes, ...]  # the key at each of the requested positions
    identity: str  # hex digest of the keys and the sizes of their values
    contents: Contents  # of the values; unknown unless asked for


@dataclasses.dataclass(frozen=True)
class Value:
    """One entry."""

    key: bytes
    number: int  # from 0, in the order of the keys
    data: bytes | None  # None: larger than any picture may be
    size: int  # bytes


def find_data_file(path: Path) -> Path:
    """Finds the file of the LMDB at `path`: a folder with a data.mdb, or that file itself.

    Raises:
        UserError: there is none, or access is denied.
    """
    try:
        folder = path.is_dir()
        file = path / _DATA_FILE if folder else path
        if file.is_file():
            return file
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    what = f"has no {_DATA_FILE}" if folder else "does not exist"
    raise UserError(f"{path} {what}. An LMDB is a folder with a {_DATA_FILE} in it")


def count_entries(file: Path) -> int:
    """Counts the pictures in the LMDB.

    Raises:
        UserError: it is not an LMDB, of another version, truncated, unreadable or empty, or
            declares more entries than its size allows.
    """
    with _opened(file) as transaction:
        count = transaction.stat()["entries"]
    size = file.stat().st_size
    if count > size // _MIN_ENTRY_BYTES:
        raise UserError(
            f"{file} is damaged: it declares {count} entries in {size} bytes. Copy or download it "
            "again"
        )
    if not count:
        raise UserError(f"{file} is an empty LMDB: there are no pictures in it")
    return count


def list_keys(
    file: Path, positions: Sequence[int], count: int, read_contents: bool = False
) -> Listing:
    """Reads the first `count` keys, in a process of the pool: a damaged LMDB can crash lmdb.

    Args:
        file: the LMDB.
        positions: of the keys to return, ascending.
        count: how many entries to look at.
        read_contents: digest the values as well.

    Raises:
        UserError: there are fewer, or more than the LMDB declares, they are out of order, or the
            first values show that another tool has laid it out.
    """
    digest, digests = hashlib.sha256(), bytearray()
    requested, starts, number, last = set(positions), [], 0, b""
    _check_layout(file)
    for declared, key, value in _keys(file):
        if number == declared:
            raise _miscounted(file, declared, "there are more")
        if key <= last and number:  # a damaged page can lead back to earlier entries
            raise UserError(
                f"{file} is damaged: entry {number} is out of order. Copy or download it again"
            )
        if number in requested:
            starts.append(key)
        digest.update(b"%d %d " % (len(key), len(value)))
        digest.update(key)
        if read_contents:
            digests += contents.digest(value)
        last, number = key, number + 1
        if number % _ENTRIES_PER_OPENING == 0:
            process_pool.count(_ENTRIES_PER_OPENING)
        if number == count < declared:  # if all are read, one more step shows that none follows
            break
    if number < count:
        raise _miscounted(file, count, f"{number} can be found")
    process_pool.count(number % _ENTRIES_PER_OPENING)
    found = Contents.of_digests(digests) if read_contents else Contents.unknown(count)
    return Listing(tuple(starts), digest.hexdigest(), found)


def _check_layout(file: Path) -> None:
    """Raises `UserError` if this is an LMDB of another tool; says of which, if that shows."""
    with _opened(file) as transaction:
        length = transaction.get(b"length")
        sample = [
            (bytes(key[:100]), bytes(value[:_HEAD_BYTES]))
            for key, value in itertools.islice(_entries(transaction, b""), _SAMPLED)
        ]
    if length is not None:
        reason = (
            "its key 'length' is of stylegan2-pytorch's prepare_data.py, which stores each picture "
            "in several sizes"
        )
    elif any(_PICTURE.match(head) for _, head in sample):
        return
    elif all(_PICKLE.match(head) for _, head in sample):
        reason = "its values look like Python pickles, which are never loaded"
    else:
        key, head = sample[0]
        reason = f"its first value, of key {key!r}, begins with {head!r}, as no image file does"
    raise UserError(
        f"{file} is not LSUN's layout, an image file for each key: {reason}. Write the pictures "
        "into a folder and give it to convert_images"
    )


def _keys(file: Path) -> Iterator[tuple[int, bytes, memoryview]]:
    """Yields, for each entry, how many are declared, its key, and for the moment its value."""
    start: bytes | None = b""
    while start is not None:
        # Python's lmdb reads the values with the keys, so read-ahead is left on for speed.
        with _opened(file) as transaction:
            declared = transaction.stat()["entries"]
            entries = _entries(transaction, start)
            for key, value in itertools.islice(entries, _ENTRIES_PER_OPENING):
                yield declared, bytes(key), value
            following = next(entries, None)
            start = bytes(following[0]) if following else None


def _miscounted(file: Path, declared: int, found: str) -> UserError:
    return UserError(
        f"{file} is damaged: it declares {declared} entries, {found}. Copy or download it again"
    )


def read_values(file: Path, start: bytes, first: int, count: int) -> Iterator[Value]:
    """Reads `count` entries from key `start`, which is number `first`, in the order of the keys.

    Raises:
        UserError: the LMDB is damaged or has changed.
    """
    key, done = start, 0
    while done < count:
        part = min(_ENTRIES_PER_OPENING, count - done)
        key = yield from _part(file, key, first + done, part)
        done += part
        if key is None and done < count:
            raise _changed(file, first + done)


def _part(file: Path, start: bytes, first: int, count: int) -> Generator[Value, None, bytes | None]:
    """Yields `count` entries from key `start`; returns the key that follows, if there is one."""
    read = 0
    with _opened(file) as transaction:
        for key, value in _entries(transaction, start):
            if read == count:
                return bytes(key)
            yield _value(key, value, first + read)
            read += 1
    if read < count:
        raise _changed(file, first + read)
    return None


def _changed(file: Path, number: int) -> UserError:
    return UserError(f"{file} has changed: there is no entry {number} any more")


def _value(key: memoryview, value: memoryview, number: int) -> Value:
    fits = len(value) <= pictures.MAX_FILE_BYTES
    return Value(bytes(key), number, bytes(value) if fits else None, len(value))


def _entries(
    transaction: lmdb.Transaction, start: bytes
) -> Iterator[tuple[memoryview, memoryview]]:
    with transaction.cursor() as cursor:
        if cursor.set_range(start) if start else cursor.first():
            yield from cursor


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[lmdb.Transaction]:
    """Opens an LMDB for reading; writes nothing, not even a lock file."""
    try:
        with _environment(file) as environment:
            _check_length(file, environment)
            with environment.begin(buffers=True) as transaction:
                yield transaction
    except lmdb.Error as error:
        raise UserError(f"{file} is damaged: {error}. Copy or download it again") from error


def _environment(file: Path) -> lmdb.Environment:
    try:
        with open(file, "rb") as opened:  # lmdb does not say why it cannot open a file
            if not opened.read(1):
                raise UserError(f"{file} is no LMDB: it has 0 bytes. Copy or download it again")
        name = os.fsencode(file)  # paths need not be UTF-8
        return lmdb.open(name, subdir=False, readonly=True, lock=False, create=False)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error
    except lmdb.Error as error:
        reason = str(error).removeprefix(f"{file}: ")
        version = ".".join(map(str, lmdb.version()))
        raise UserError(f"{file} is no LMDB that lmdb {version} reads: {reason}") from error


def _check_length(file: Path, environment: lmdb.Environment) -> None:
    # Reading beyond the end of a mapped file would kill the process.
    needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    size = file.stat().st_size
    if size < needed:
        raise UserError(
            f"{file} is cut short: it has {size} bytes and needs {needed}. Copy or download it "
            "again"
        )


@dataclasses.dataclass(frozen=True)
class LmdbReader(FileReader):
    """Reads entries of an LMDB; their names are their keys, a character a byte."""

    path: Path

    @contextlib.contextmanager
    def opened(self, name):
        """See `FileReader.opened`."""
        (value,) = read_values(self.path, name.encode("latin-1"), 0, 1)
        if value.data is None:
            raise pictures.BadImage(f"its {value.size} bytes are too many for a picture")
        yield io.BytesIO(value.data)
