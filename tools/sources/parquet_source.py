"""Pictures in Parquet files, as Hugging Face's data sets hold them: an image file in each row.

The column is a struct with `bytes`, or binary. Files named train-..., test-..., validation-... are
splits. PyArrow, which TensorFlow Datasets brings, is imported when it is needed.
"""

import contextlib
import dataclasses
import functools
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lsgan_tf.datasets import pictures
from lsgan_tf.datasets.catalog import TRAIN
from lsgan_tf.utils.errors import UserError, first_line

from . import array_labels, arrays, folder_labels, messages
from .image_sources import Choices, Source
from .readers import Entry, FileReader

ENDING = ".parquet"
FILES = re.compile(r".*\.parquet|data|README\.md", re.I)
_SPLIT = re.compile(r"([a-z]+)([-_.].*)?\.parquet", re.I)
_LABELS = ("label", "labels", "fine_label", "class", "class_name", "category")
_BATCH_ROWS = 32
_MAX_ROWS = 1 << 31


@dataclasses.dataclass(frozen=True)
class ParquetReader(FileReader):
    """Reads rows of the files below `root`; entries are named `FILE[ROW]`, in rising order."""

    root: Path
    column: str

    @contextlib.contextmanager
    def opened(self, name):
        """See `FileReader.opened`."""
        file, row = name.removesuffix("]").rsplit("[", 1)
        try:
            value = _rows(self.root / file, self.column).value(int(row))
        except Exception as error:  # PyArrow's are OSError, ValueError and others
            _rows.cache_clear()
            raise pictures.BadImage(f"it cannot be read: {first_line(error)}") from error
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            raise pictures.BadImage("the row holds no bytes of an image")
        yield io.BytesIO(data)


class _Rows:
    """The values of a column in rising order, a few rows at a time."""

    def __init__(self, path: Path, column: str):
        self._file, self._column = _opened(path), column
        self._values: Iterator[Any] = iter(())
        self._next = _MAX_ROWS  # beyond every row: the first starts

    def value(self, row: int) -> Any:
        if row < self._next or row >= self._next + _BATCH_ROWS:
            self._start(row)
        while self._next <= row:
            value = next(self._values)
            self._next += 1
        return value

    def _start(self, row: int) -> None:
        first, group = 0, 0
        while row >= first + (rows := self._file.metadata.row_group(group).num_rows):
            first, group = first + rows, group + 1
        groups = list(range(group, self._file.metadata.num_row_groups))
        batches = self._file.iter_batches(_BATCH_ROWS, row_groups=groups, columns=[self._column])
        self._values = (value for batch in batches for value in batch.column(0).to_pylist())
        self._next = first


_rows = functools.lru_cache(maxsize=1)(_Rows)


def _opened(path: Path) -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"{path} needs PyArrow:  pip install pyarrow") from error
    return parquet.ParquetFile(path)


def find(folder: Path, names: Sequence[str]) -> list[Path]:
    """The Parquet files of a folder, or of `data` in it, where Hugging Face has them.

    Args:
        folder: the folder.
        names: of what is in it; if there are pictures or other folders, it holds no such set.
    """
    others = [name for name in names if name != "data"]
    if any(name.lower().endswith(pictures.EXTENSIONS) for name in others) or any(
        (folder / name).is_dir() for name in others
    ):
        return []
    within = folder / "data" if (folder / "data").is_dir() else folder
    return sorted(file for file in within.iterdir() if file.name.lower().endswith(ENDING))


def list_parquet(path: Path, files: Sequence[Path], choices: Choices) -> Source:
    """Lists the rows of Parquet files.

    Args:
        path: the source, which holds the files or is the only one.
        files: of it.
        choices: `labels` is "auto" to read a column of labels if there is one, or "none".

    Raises:
        UserError: a file cannot be read, it is not clear which column holds images, the files have
            different columns, or labels cannot be used.
    """
    arrays.check_choices(path, choices)
    tables = [_Table.of(file, choices.labels) for file in files]
    if len({(table.image, table.label, table.names) for table in tables}) > 1:
        raise UserError(f"{path}: its Parquet files have different columns; pass one of them")
    root = path if path.is_dir() else path.parent
    splits: dict[str, list[_Table]] = {}
    for split, table in zip(_splits(path, files, choices.splits), tables, strict=True):
        splits.setdefault(split, []).append(table)
    first, ids, class_names = tables[0], {}, None
    if first.label:
        ids, class_names = _labels(splits, first, path)
    reader = ParquetReader(root, first.image)
    identity = "\n".join(table.identity(root) for table in tables)
    sources = {}
    for split, its in splits.items():
        names = [
            f"{table.file.relative_to(root).as_posix()}[{row}]"
            for table in its
            for row in range(table.rows)
        ]
        labels = ids[split].tolist() if ids else [None] * len(names)
        entries = list(map(Entry, names, labels))
        sources[split] = Source(reader, entries, class_names, identity, labels_from=first.label)
    return dataclasses.replace(sources.pop(TRAIN), more=sources)


def _splits(path: Path, files: Sequence[Path], choice: str) -> list[str]:
    stems = [(_SPLIT.fullmatch(file.name) or [None, ""])[1].lower() for file in files]
    splits = [folder_labels.SPLITS.get(stem) for stem in stems]
    if choice == "none" or None in splits or TRAIN not in splits:
        return [TRAIN] * len(files)
    if len(set(splits)) > 1:
        told = ", ".join(sorted(set(splits)))
        messages.warn(f"the files of {path} become the splits {told} by their names")
    return splits


@dataclasses.dataclass(frozen=True)
class _Table:
    file: Path
    rows: int
    image: str  # the columns
    label: str  # "": none
    names: tuple[str, ...] | None  # of the classes, by their number

    @staticmethod
    def of(file: Path, labels: str) -> "_Table":
        try:
            opened = _opened(file)
            schema, rows = opened.schema_arrow, _counted_rows(opened.metadata)
            features = _features(schema.metadata or {})
        except UserError:
            raise
        except Exception as error:  # PyArrow's are OSError, ValueError and others
            raise UserError(f"{file} is not a readable Parquet: {first_line(error)}") from error
        if not 0 < rows < _MAX_ROWS:
            raise UserError(f"{file} has {rows} rows")
        image = _image_column(file, schema)
        label = next((name for name in _LABELS if name in schema.names), "")
        others = [name for name in schema.names if name not in (image, label)]
        if labels == "none":
            label = ""
        elif label and others:
            messages.warn(f"not used: {messages.counted(others, 'columns')} of {file}")
        names = features.get(label, {}).get("names") if label else None
        return _Table(file, rows, image, label, tuple(map(str, names)) if names else None)

    def identity(self, root: Path) -> str:
        status = self.file.stat()
        name = self.file.relative_to(root).as_posix()
        return f"{name} {status.st_size} {status.st_mtime_ns} {self.image} {self.label}"

    def labels(self) -> np.ndarray:
        try:
            column = _opened(self.file).read(columns=[self.label]).column(0)
            if column.null_count:
                raise ValueError(f"{column.null_count} of its rows have none")
            return np.array(column.to_pylist())
        except Exception as error:
            raise UserError(
                f"{self.file}: column `{self.label}` cannot be used: {first_line(error)}; "
                "--labels=none leaves labels out"
            ) from error


def _counted_rows(metadata: Any) -> int:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    rows = [group.num_rows for group in groups]
    values = [
        group.column(number).num_values for group in groups for number in range(group.num_columns)
    ]
    # Lists have several values a row, and no column fewer than one.
    if sum(rows) != metadata.num_rows or min(rows, default=0) < 0 or sum(values) < sum(rows):
        raise ValueError(f"it declares {metadata.num_rows} rows, its parts have {sum(rows)}")
    return metadata.num_rows


def _features(metadata: dict[bytes, bytes]) -> dict[str, Any]:
    """What Hugging Face's library writes of the columns; {} if it has not."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {name: value for name, value in features.items() if isinstance(value, dict)}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}


def _image_column(file: Path, schema: Any) -> str:
    columns = [field.name for field in schema if _may_hold_images(field.type)]
    known = [name for name in columns if name in ("image", "img")]
    if len(known or columns) == 1:
        return (known or columns)[0]
    what = "several columns" if columns else "no column"
    raise UserError(
        f"{file} has {what} of image files (bytes): it has {', '.join(schema.names)}. Name it image"
    )


def _may_hold_images(kind: Any) -> bool:
    import pyarrow

    if pyarrow.types.is_struct(kind):
        return any(kind.field(n).name == "bytes" for n in range(kind.num_fields))
    return pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)


def _labels(
    splits: dict[str, list[_Table]], first: _Table, path: Path
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    values = {
        split: array_labels.Labels(np.concatenate([table.labels() for table in its]))
        for split, its in splits.items()
    }
    for split, labels in values.items():
        if labels.values.dtype.kind not in "iuU" or (
            labels.values.dtype.kind != "U" and labels.values.min() < 0
        ):
            raise UserError(
                f"{path}: column `{first.label}` of the split {split} holds no class ids or names "
                "(a class of -1 stands for none); choose --labels=none"
            )
    try:
        return array_labels.named(values, first.names, str(path))
    except ValueError as error:
        raise UserError(f"{path}: column `{first.label}` cannot be used: {error}") from error
