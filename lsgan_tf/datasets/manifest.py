"""`manifest.json`: what a converted data set holds, where it came from, what was left out."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsgan_tf.datasets import notes
from lsgan_tf.datasets.notes import Noted
from lsgan_tf.utils import files, typed_json
from lsgan_tf.utils.errors import UserError

FILE_NAME = "manifest.json"
FORMAT_VERSION = 2
ENCODINGS = ("png", "jpeg")


def text(name: str) -> str:
    """A name as it can be stored and printed: file names need not be UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A source image that was left out."""

    where: str  # file, and record or offset within it
    why: str


@dataclasses.dataclass(frozen=True)
class Shard:
    """One TFRecord file."""

    file: str  # name within the data set's directory
    split: str
    count: int  # records
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The contents of `manifest.json`."""

    name: str
    image_shape: tuple[int, int, int]  # height, width, channels
    encoding: str  # one of ENCODINGS
    class_names: tuple[str, ...] | None  # None: the records have no labels
    extra_features: Mapping[str, tuple[str, ...]]  # further features: the names of their values
    source: str
    tool: str
    flags: dict[str, Any]
    job: str  # fingerprint of source, flags and format; see writer.Plan
    shards: tuple[Shard, ...]
    skipped_count: int
    skipped: tuple[Skipped, ...]  # the first of them
    left_out: Mapping[str, int]  # what the flags exclude, and how much of it there was
    # What was done to images, and to which.
    notes: Mapping[str, Noted] = dataclasses.field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    @property
    def value_names(self) -> dict[str, tuple[str, ...]]:
        """The integer features of every record, and the names of their values."""
        labels = {} if self.class_names is None else {"label": self.class_names}
        return {**labels, **self.extra_features}

    def fingerprint(self) -> str:
        """16 hex digits that change when any recorded byte changes."""
        digest = hashlib.sha256()
        for shard in self.shards:
            digest.update(f"{shard.file} {shard.sha256}\n".encode())
        return digest.hexdigest()[:16]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits there are, in the order of their shards."""
        return tuple(dict.fromkeys(shard.split for shard in self.shards))

    def summary(self, directory: Path) -> str:
        """What a converter prints at its end: what there is and what was skipped."""
        height, width, channels = self.image_shape
        count = sum(shard.count for shard in self.shards)
        size = sum(shard.bytes for shard in self.shards)
        classes = f", {len(self.class_names)} classes" if self.class_names else ", no labels"
        lines = [
            f"{directory}: {count} images, {height}x{width}x{channels}{classes}, "
            f"{size / 1e6:.1f} MB in {len(self.shards)} shards"
        ]
        if self.skipped_count:
            lines.append(f"{self.skipped_count} images were skipped (see {directory / FILE_NAME}):")
            lines += [f"  {skip.where}: {skip.why}" for skip in self.skipped[:5]]
            lines += ["  ..."] if self.skipped_count > 5 else []
        lines += [f"left out: {number} {what}" for what, number in self.left_out.items()]
        lines += notes.describe(self.notes, count)
        return "\n".join(lines)

    def save(self, directory: Path) -> None:
        """Writes the file atomically; raises `UserError` if the disk is full."""
        content = json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False)
        files.write_bytes(directory / FILE_NAME, content.encode() + b"\n")


def load(directory: Path) -> Manifest:
    """Reads and checks `directory/manifest.json`; raises `UserError` naming what is wrong."""
    path = directory / FILE_NAME
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); {_REMEDY}") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} does not hold a JSON object; {_REMEDY}")
    if data.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {data.get('format_version')!r}, this version of lsgan_tf "
            f"reads {FORMAT_VERSION}; {_REMEDY}"
        )
    try:
        return _parse(data)
    except (KeyError, TypeError, ValueError) as error:
        what = f"has no {error}" if isinstance(error, KeyError) else f"is wrong: {error}"
        raise UserError(f"{path} {what}; {_REMEDY}") from error


_REMEDY = "convert the data set again"
_SHARD_NAME = re.compile(r"[\w.-]+")


def _parse(data: dict[str, Any]) -> Manifest:
    class_names = data["class_names"]
    manifest = Manifest(
        name=_typed(data, "name", str),
        image_shape=tuple(_typed(data, "image_shape", list)),
        encoding=_typed(data, "encoding", str),
        class_names=None if class_names is None else tuple(_typed(data, "class_names", list)),
        extra_features={
            name: tuple(_typed(data["extra_features"], name, list))
            for name in _typed(data, "extra_features", dict)
        },
        source=_typed(data, "source", str),
        tool=_typed(data, "tool", str),
        flags=_typed(data, "flags", dict),
        job=_typed(data, "job", str),
        shards=tuple(_parse_shard(shard) for shard in _typed(data, "shards", list)),
        skipped_count=_typed(data, "skipped_count", int),
        skipped=tuple(_parse_skipped(entry) for entry in _typed(data, "skipped", list)),
        left_out={
            what: _typed(data["left_out"], what, int) for what in _typed(data, "left_out", dict)
        },
        notes=_parse_notes(data.get("notes", {})),  # which sets of earlier versions lack
    )
    shape = manifest.image_shape
    if len(shape) != 3 or not all(type(n) is int and n > 0 for n in shape):
        raise ValueError(f"image_shape {list(shape)} is not [height, width, channels]")
    if shape[2] not in (1, 3):
        raise ValueError(f"images have {shape[2]} channels, not 1 or 3")
    if manifest.encoding not in ENCODINGS:
        raise ValueError(f"encoding {manifest.encoding!r} is not one of {', '.join(ENCODINGS)}")
    for feature, names in manifest.value_names.items():
        if not all(isinstance(name, str) for name in names):
            raise ValueError(f"the names of {feature} are not all strings")
    noted = [note.count for note in manifest.notes.values()]
    if min(manifest.skipped_count, *manifest.left_out.values(), *noted, 0) < 0:
        raise ValueError("it counts fewer than none")
    if not sum(shard.count for shard in manifest.shards):
        raise ValueError("it lists no records")
    return manifest


def _parse_skipped(entry: dict[str, Any]) -> Skipped:
    if not isinstance(entry, dict):
        raise ValueError("an entry of skipped is not an object")
    return Skipped(_typed(entry, "where", str), _typed(entry, "why", str))


def _parse_notes(entries: Any) -> dict[str, Noted]:
    try:
        return typed_json.parse(entries, dict[str, Noted], "its `notes`")
    except typed_json.InvalidJson as error:
        raise ValueError(str(error)) from error


def _parse_shard(entry: dict[str, Any]) -> Shard:
    if not isinstance(entry, dict):
        raise ValueError("an entry of shards is not an object")
    shard = Shard(
        file=_typed(entry, "file", str),
        split=_typed(entry, "split", str),
        count=_typed(entry, "count", int),
        bytes=_typed(entry, "bytes", int),
        sha256=_typed(entry, "sha256", str),
    )
    # The name is joined to the directory: a manifest from elsewhere must not lead out of it.
    if not _SHARD_NAME.fullmatch(shard.file) or shard.file.startswith("."):
        raise ValueError(f"shard file name {shard.file!r}")
    if shard.count < 0 or shard.bytes < 0:
        raise ValueError(f"shard {shard.file} has a negative size")
    return shard


def _typed(data: dict[str, Any], key: str, kind: type) -> Any:
    value = data[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{key} is not of type {kind.__name__}")
    return value
