"""Files that give pictures their labels: of StyleGAN, of Hugging Face, and tables of the user.

    dataset.json     {"labels": [["a.png", 0], ...]}; a class id, or a list with a single 1
    metadata.csv     a header with file_name and label (or class, category); paths from its folder
    metadata.jsonl   an object a line, with the same names
    FILE.csv         of --labels: path,label, with or without a header

No path in them is ever opened: they are looked up among the pictures of the source.
"""

import csv
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from lsgan_tf.datasets import pictures
from lsgan_tf.utils.errors import UserError, first_line

from . import messages
from .file_listing import ANY_NAME
from .readers import FileReader

_KNOWN = ("dataset.json", "metadata.csv", "metadata.jsonl")
_LOOKS = re.compile(
    r".*\.(csv|tsv|json|jsonl|xml|mat|parquet|arrow)|.*(label|class|annot|categor|attr).*\.txt",
    re.I,
)
_PATHS = ("file_name", "path", "filename", "file", "image")  # columns, in order of preference
_LABELS = ("label", "labels", "class", "class_name", "category")
_MAX_BYTES = 1 << 27
_MAX_CLASSES = 100_000
_MAX_NAME = 1024  # characters of a class name


class Table:
    """The labels of pictures, by path."""

    def __init__(self, name: str, labels: Mapping[str, str]):
        """Takes the labels by path; `name` is for messages."""
        self.name = name
        self._labels = labels
        self._used: set[str] = set()
        if len(set(labels.values())) > _MAX_CLASSES:
            raise UserError(
                f"{name} has more than {_MAX_CLASSES} classes; --labels=none ignores it"
            )

    @property
    def digest(self) -> str:
        """Changes when the labels do."""
        pairs = json.dumps(sorted(self._labels.items()))
        return hashlib.sha256(pairs.encode(*ANY_NAME)).hexdigest()

    def look_up(self, names: Sequence[str], shared: int) -> list[str]:
        """The class name of each picture.

        Args:
            names: paths within the source.
            shared: how many folders they all are in, which the table may leave out.

        Raises:
            UserError: it lacks pictures; names them.
        """
        keys = [self._key(name, shared) for name in names]
        missing = [name for name, key in zip(names, keys, strict=True) if key is None]
        if len(missing) == len(names):
            raise UserError(
                f"{self.name} has none of the {len(names)} images: they are named as "
                f"{messages.first(names, 2)}, its paths are {messages.first(self._labels, 2)}"
            )
        if missing:
            raise UserError(
                f"{self.name} has no label for {messages.counted(missing, 'images')}. Add them, "
                "move these images elsewhere, or choose --labels=none"
            )
        self._used.update(keys)
        return [self._labels[key] for key in keys]

    def _key(self, name: str, shared: int) -> str | None:
        whole = _normal(name)
        below = "/".join(whole.split("/")[shared:])
        return next((key for key in (whole, below) if key in self._labels), None)

    def tell_unused(self) -> None:
        """Warns of paths that name no picture."""
        if unused := [path for path in self._labels if path not in self._used]:
            messages.warn(
                f"no image of the source: {messages.counted(unused, 'paths')} of {self.name}"
            )


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Class names in the order of their ids: by number if all are numbers."""
    names = list(names)
    if all(re.fullmatch(r"-?[0-9]{1,18}", name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def find(reader: FileReader, others: Sequence[str], source: Path, labels: str) -> Table | None:
    """Reads the label files among the files of a source; names those that are not used.

    Args:
        reader: of the source.
        others: its files that are not pictures.
        source: the source, for messages.
        labels: they are used if it is "auto".

    Raises:
        UserError: one cannot be read, or two contradict each other.
    """
    known = [name for name in others if PurePosixPath(name).name in _KNOWN]
    tables: dict[str, dict[str, str]] = {}
    for name in known if labels == "auto" else ():
        where = f"{source}: {name}"
        found = _parse(_read(reader, name, where), name, where)
        if found is not None:
            folder = PurePosixPath(name).parent
            tables[name] = {_normal(str(folder / path)): label for path, label in found}
    if unused := [name for name in others if _LOOKS.fullmatch(name) and name not in tables]:
        messages.warn(
            f"not used, though labels by the name: {messages.counted(unused, 'files')} of {source}"
        )
    return Table(", ".join(tables), _merged(tables, source)) if tables else None


def is_file(labels: str) -> bool:
    """Whether the value of --labels is a file, not a choice."""
    return labels not in ("auto", "folders", "none")


def read(path: Path) -> Table:
    """Reads the table of --labels=FILE.

    Raises:
        UserError: it cannot be used.
    """
    flag = f"--labels={path}"
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UserError(
            f"{flag} is none of auto, folders, none and no file: {error.strerror}"
        ) from error
    found = _parse(_bounded(data, flag), path.name, flag)
    if found is None:
        raise UserError(f"{flag} has no column {' or '.join(_LABELS)}")
    return Table(path.name, {_normal(name): label for name, label in found})


def _read(reader: FileReader, name: str, where: str) -> bytes:
    try:
        with reader.opened(name) as file:
            return _bounded(file.read(_MAX_BYTES + 1), where)
    except pictures.BadImage as error:
        raise UserError(f"{where} cannot be read: {error}; --labels=none ignores it") from error


def _bounded(data: bytes, where: str) -> bytes:
    if len(data) > _MAX_BYTES:
        raise UserError(f"{where} is larger than {_MAX_BYTES} bytes, too large for labels")
    return data


def _merged(tables: dict[str, dict[str, str]], source: Path) -> dict[str, str]:
    merged: dict[str, tuple[str, str]] = {}
    for file, labels in tables.items():
        for path, label in labels.items():
            other, before = merged.setdefault(path, (file, label))
            if before != label:
                raise UserError(
                    f"{source}: {path} has the label {before} in {other} and {label} in {file}. "
                    "Choose one with --labels=FILE"
                )
    return {path: label for path, (_, label) in merged.items()}


def _parse(data: bytes, name: str, where: str) -> list[tuple[str, str]] | None:
    """Path and class name of each picture; None if the file has no labels."""
    kind = PurePosixPath(name).suffix.lower()
    try:
        text = data.decode("utf-8-sig")
        if kind == ".json":
            pairs = _of_json(json.loads(text))
        elif kind == ".jsonl":
            pairs = _of_rows([json.loads(line) for line in text.splitlines() if line.strip()])
        else:
            pairs = _of_csv(text, needs_header=PurePosixPath(name).name in _KNOWN)
        if pairs is None:
            return None
        labels: dict[str, str] = {}
        for path, label in pairs:
            label = _class_name(label)
            if labels.setdefault(path, label) != label:
                raise ValueError(f"{path} has two labels, {labels[path]} and {label}")
        return list(labels.items())
    except (ValueError, RecursionError, csv.Error) as error:
        raise UserError(f"{where} cannot be used: {first_line(error)}") from error


def _of_json(value: Any) -> Iterable[tuple[str, Any]] | None:
    labels = value.get("labels") if isinstance(value, dict) else None
    if labels is None:
        return None
    pairs = list(labels.items()) if isinstance(labels, dict) else labels
    if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
        raise ValueError("its labels are not a list of [path, label]")
    return pairs


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)


def _of_rows(rows: Sequence[Any]) -> Iterable[tuple[str, Any]] | None:
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line is not a JSON object")
    columns = {column for row in rows for column in row}
    path, label = _column(columns, _PATHS), _column(columns, _LABELS)
    if path is None or label is None:
        return None
    for number, row in enumerate(rows, 1):
        if not isinstance(row.get(path), str):
            raise ValueError(f"row {number} has no {path}")
        if row.get(label) is None:
            raise ValueError(f"row {number} has no {label}")
    return [(row[path], row[label]) for row in rows]


def _of_csv(text: str, needs_header: bool) -> Iterable[tuple[str, Any]] | None:
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True) if row]
    if not rows:
        raise ValueError("it is empty")
    header = [column.strip().lower() for column in rows[0]]
    path, label = _column(header, _PATHS), _column(header, _LABELS)
    if path is not None and label is not None:
        return _columns(rows[1:], header.index(path), header.index(label), first=2)
    if needs_header:
        return None
    if len(rows[0]) != 2:
        raise ValueError(
            f"its first line has {len(rows[0])} columns; it must be path,label or a header with "
            "these names"
        )
    return _columns(rows, 0, 1, first=1)


def _columns(
    rows: Sequence[list[str]], path: int, label: int, first: int
) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(rows, first):
        if len(row) <= max(path, label) or not row[path] or not row[label].strip():
            raise ValueError(f"row {number} has no path or no label")
        yield row[path], row[label]


def _column(columns: Iterable[str], wanted: Sequence[str]) -> str | None:
    columns = set(columns)
    return next((name for name in wanted if name in columns), None)


def _class_name(label: Any) -> str:
    if isinstance(label, list):
        if sorted(set(map(str, label))) in (["0", "1"], ["0.0", "1.0"]) and label.count(1) == 1:
            return str(label.index(1))
        raise ValueError("a label is a list of numbers, and not a single 1 among zeros")
    if isinstance(label, bool | float) or not isinstance(label, int | str):
        raise ValueError(f"the label {str(label)[:100]} is neither a whole number nor text")
    name = unicodedata.normalize("NFC", str(label).strip())
    if not name or len(name) > _MAX_NAME:
        raise ValueError(f"a label has {len(name)} characters, not 1 to {_MAX_NAME}")
    return name


def _normal(path: str) -> str:
    """The path as it is compared: with slashes, without ".", accents in one character."""
    return unicodedata.normalize("NFC", PurePosixPath(path.replace("\\", "/")).as_posix())
