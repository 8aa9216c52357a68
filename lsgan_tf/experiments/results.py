"""results.csv: a line for each finished run of a row, read strictly and written atomically."""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock

from lsgan_tf.utils import files, typed_json
from lsgan_tf.utils.errors import UserError

_LOCK_SECONDS = 60  # to wait for another process that adds a line


@dataclasses.dataclass(frozen=True)
class Line:
    """A run that was trained and scored. Scores are written so that they read back to the bit."""

    row: str
    cell: str
    recipe: str
    flags: str  # of the command that trains it, without those of this machine
    commit: str
    seed: int
    steps: int
    processor: str
    seconds: float  # of training
    versions: str
    score: str  # the title of the score in the next columns
    best: float
    best_step: int
    last: float
    last_step: int  # below `steps` if it diverged
    collapsed_at: int | None  # the scored step from which on it is collapsed; None: it is not
    last_scores: dict[str, float]  # all scores of the last checkpoint, by title
    protocol: dict[str, Any]
    checkpoint_sha256: str
    log: str  # the thinned log, relative to the csv

    def __post_init__(self):
        if not (math.isfinite(self.best) and math.isfinite(self.last)):
            raise ValueError("best and last must be finite")

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What there is one line of."""
        return self.row, self.cell, self.seed, self.steps

    @property
    def run(self) -> str:
        """The name of the run, ROW/CELL-SEED."""
        return f"{self.row}/{self.cell}-{self.seed}"


_FIELDS = {field.name: field.type for field in dataclasses.fields(Line)}
_PARSERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    int | None: lambda text: int(text) if text else None,
    dict[str, float]: json.loads,
    dict[str, Any]: json.loads,
}


def read(path: Path) -> list[Line]:
    """The lines of results.csv, in order; none if there is no file.

    Raises:
        UserError: the file or a line is not right; names the line and the column.
    """
    if not path.exists():
        return []
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is no CSV text: {error}. Restore it from the history.") from error
    if not rows or rows[0] != list(_FIELDS):
        raise UserError(
            f"{path}, line 1 must name the columns {','.join(_FIELDS)}. Restore the file from the "
            "history, or remove it; the runs' directories are not touched, and lines are written "
            "again from them."
        )
    lines, places = [], {}
    for number, cells in enumerate(rows[1:], 2):
        line = _parse(cells, f"{path}, line {number}")
        if line.key in places:
            raise UserError(
                f"{path}, line {number} is of the same run as line {places[line.key]}: "
                f"{line.run}, {line.steps} steps. Remove one of them."
            )
        places[line.key] = number
        lines.append(line)
    return lines


def _parse(cells, place):
    remedy = "Restore the line, or remove it and run the row again: its runs are not repeated."
    if len(cells) != len(_FIELDS):
        what = f"has {len(cells)} columns, not {len(_FIELDS)}" if cells else "is empty"
        raise UserError(f"{place} {what}. {remedy}")
    values = {}
    for (name, kind), text in zip(_FIELDS.items(), cells, strict=True):
        try:
            values[name] = _PARSERS[kind](text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{place}: {name} is {text!r}. {remedy}") from error
    try:
        return typed_json.parse(values, Line, place)
    except typed_json.InvalidJson as error:
        raise UserError(f"{error} {remedy}") from error


def append(path: Path, new: list[Line]) -> None:
    """Adds lines, except of runs that have one; several processes may do so at once.

    The file is written as a whole under another name: a full disk leaves it as it was.

    Raises:
        UserError: the file is damaged, locked or cannot be written.
    """
    files.make_parent(path)
    try:
        with filelock.FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_SECONDS):
            old = read(path)
            present = {line.key for line in old}
            files.write_bytes(
                path, _text([*old, *(line for line in new if line.key not in present)]).encode()
            )
    except filelock.Timeout as error:
        raise UserError(f"{path} is locked by another process. Run the same command again.") from (
            error
        )
    except OSError as error:  # of the lock
        raise files.write_error(error, path) from error


def _text(lines):
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_FIELDS)
    for line in lines:
        writer.writerow(_format(getattr(line, name)) for name in _FIELDS)
    return file.getvalue()


def _format(value):
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)  # the shortest text of a float reads back the same
