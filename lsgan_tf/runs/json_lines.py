"""Files of one JSON object a line, that a killed process may have cut short."""

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError


def append(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Adds a line for each record, and ends a last line that was cut short.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        with open(path, "ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # the last line is truncated: end it
                    file.write(b"\n")
            file.write(b"".join(encode(record) + b"\n" for record in records))
    except OSError as error:
        raise files.write_error(error, path) from error


def read(path: Path) -> dict[bytes, dict[str, Any]]:
    """{line as it stands: what it says} of a file of JSON lines, without those that are truncated
    or have no step."""
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    lines = {}
    for raw in content.splitlines(keepends=True):
        with contextlib.suppress(ValueError, RecursionError):
            line = json.loads(raw)
            if isinstance(line, dict) and isinstance(line.get("step", ""), int | None):
                lines[raw.rstrip(b"\n") + b"\n"] = line
    return lines


def encode(value: Any, indent: int | None = None) -> bytes:
    """A value as UTF-8 JSON."""
    return json.dumps(value, indent=indent, ensure_ascii=False).encode()


def thin(entries: list, most: int) -> list:
    """Every so many of the entries, at most `most` of them, the last one among them."""
    every = -(-len(entries) // most) or 1
    return entries[::-1][::every][::-1]
