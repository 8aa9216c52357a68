"""The names of a zip's members: their separators and their encoding, which many tools get wrong."""

import struct
import zipfile
import zlib
from pathlib import Path

from lsgan_tf.utils.errors import UserError

from . import messages

_UTF_8 = 0x800  # the flag of names that are UTF-8; others are cp437 by the zip's specification
_DEFAULT = "cp437"
_UNICODE_PATH = 0x7075  # an extra field: version, CRC-32 of the other name, UTF-8
_LIKELY = ("gbk", "shift_jis", "euc_kr", "big5", "cp1252", "cp1251")


def mend(path: Path, archive: zipfile.ZipFile, encoding: str | None) -> None:
    """Gives the members of an opened zip the names that were meant.

    Args:
        path: the zip, for messages.
        archive: its members' `filename` changes, `orig_filename` stays.
        encoding: of the names that do not declare one; None: UTF-8 if all are, else cp437.

    Raises:
        UserError: a name is not in `encoding`.
    """
    undeclared = _undeclared(archive)
    encoding = encoding or ("utf-8" if _decodes(undeclared, "utf-8") else _DEFAULT)
    for member in undeclared:
        try:
            member.filename = _decoded(member, encoding)
        except ValueError:
            raise UserError(
                f"--zip_encoding={encoding}: {path} has a name in another encoding, "
                f"{member.orig_filename!r}"
            ) from None
    for member in archive.infolist():
        if not (member.flag_bits & _UTF_8 or member.orig_filename.isascii()):
            member.filename = _declared(member) or member.filename
        if not member.filename:
            raise UserError(f"{path} has a member without a name; get it again")
        # Tools of Windows write them; after decoding, because a byte of Shift-JIS may be one.
        member.filename = member.filename.replace("\\", "/")
    archive.NameToInfo = {member.filename: member for member in archive.infolist()}


def tell(path: Path, archive: zipfile.ZipFile, encoding: str | None) -> None:
    """Warns of names that were changed or whose encoding was guessed."""
    slashed = [
        member.orig_filename
        for member in archive.infolist()
        if member.filename.count("/") > member.orig_filename.count("/")
    ]
    if slashed:
        messages.warn(
            f"{path} has {messages.counted(slashed, 'names')} with backslashes, taken as folders"
        )
    undeclared = _undeclared(archive)
    if encoding or not undeclared:
        return
    names = [member.filename for member in undeclared]
    if _decodes(undeclared, "utf-8"):
        messages.warn(f"{path} does not declare that {messages.counted(names, 'names')} are UTF-8")
        return
    choices = [
        f"--zip_encoding={likely} ({_decoded(undeclared[0], likely)})"
        for likely in _LIKELY
        if _decodes(undeclared, likely)
    ]
    messages.warn(
        f"{path} does not declare the encoding of {messages.counted(names, 'names')}, which are "
        f"read as {_DEFAULT}. If they look wrong, choose {' or '.join(choices) or 'another'}"
    )


def _undeclared(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [
        member
        for member in archive.infolist()
        if not (member.flag_bits & _UTF_8 or member.orig_filename.isascii() or _declared(member))
    ]


def _declared(member: zipfile.ZipInfo) -> str | None:
    """The name in UTF-8 beside one of an unknown encoding, as Info-ZIP writes it."""
    extra = member.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        raw = member.orig_filename.encode(_DEFAULT)
        if kind == _UNICODE_PATH and field[1:5] == struct.pack("<I", zlib.crc32(raw)):
            return field[5:].decode("utf-8", "replace").split("\0")[0] or None
    return None


def _decoded(member: zipfile.ZipInfo, encoding: str) -> str:
    return member.orig_filename.encode(_DEFAULT).decode(encoding).split("\0")[0]


def _decodes(members: list[zipfile.ZipInfo], encoding: str) -> bool:
    try:
        return all(_decoded(member, encoding) for member in members)
    except ValueError:
        return False
