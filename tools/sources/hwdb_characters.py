"""Which characters of a database of handwriting become images."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from lsgan_tf.utils.errors import UserError

from . import file_listing


@dataclasses.dataclass(frozen=True)
class Selection:
    """The characters to keep: those of a list; without one, all Chinese ones or level 1."""

    level1: bool = False  # of GB 2312, the 3,755 most frequent characters
    listed: frozenset[str] | None = None

    def excludes(self, character: str) -> str | None:
        """Why a character is left out, as a plural noun for messages; None if it is kept."""
        if self.listed is not None:
            return None if character in self.listed else "characters not listed"
        if not is_chinese(character):
            return "symbols, letters and digits"
        if self.level1 and not is_level1(character):
            return "characters outside level 1"
        return None

    def class_names(self, occurring: Iterable[str]) -> tuple[str, ...]:
        """The classes, sorted by code point: the listed characters, or else the `occurring` ones.

        A list is used whole, so that the parts of a database have the same class numbers.
        """
        return tuple(sorted(occurring if self.listed is None else self.listed))

    def flags(self) -> dict[str, str | bool | None]:
        """What identifies it among the flags of a conversion."""
        digest = None
        if self.listed is not None:
            digest = hashlib.sha256("".join(self.class_names(())).encode()).hexdigest()
        return {"level1": self.level1, "characters": digest}


def make_selection(level1: bool, list_file: Path | None, classes: Sequence[str] = ()) -> Selection:
    """Makes the selection from the flags.

    Raises:
        UserError: two of the flags are given, or a list cannot be read or is not one of characters.
    """
    given = {"--level1": level1, "--characters": list_file, "--classes": classes}
    if len(names := [name for name, value in given.items() if value]) > 1:
        raise UserError(f"{' and '.join(names)} exclude each other: choose one")
    if classes:
        if wrong := [name for name in classes if len(name) != 1 or not name.isprintable()]:
            raise UserError(f"--classes: {wrong[0]!r} is not one character")
        return Selection(listed=frozenset(classes))
    return Selection(level1) if list_file is None else Selection(listed=_read_list(list_file))


@functools.cache
def is_chinese(character: str) -> bool:
    """Whether it is an ideograph; 〇 (U+3007), a symbol in GBK and Unicode, is not."""
    code = ord(character)
    return (
        0x3400 <= code < 0x4DC0
        or 0x4E00 <= code < 0xA000
        or 0xF900 <= code < 0xFB00
        or 0x20000 <= code < 0x40000
    )


@functools.cache
def is_level1(character: str) -> bool:
    """Whether it belongs to level 1 of GB 2312."""
    try:
        row = character.encode("gb2312")[0]
    except UnicodeEncodeError:
        return False
    return 0xB0 <= row <= 0xD7


def _read_list(path: Path) -> frozenset[str]:
    flag = f"--characters={path}"
    try:
        text = file_listing.read_list(path, flag).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{flag} is not UTF-8 text (byte {error.start}). Save it as UTF-8"
        ) from error
    characters = frozenset("".join(text.split()))
    if not characters:
        raise UserError(f"{flag} lists no characters")
    for character in sorted(characters):
        if not character.isprintable():
            raise UserError(f"{flag} holds the unprintable character U+{ord(character):04X}")
    return characters
