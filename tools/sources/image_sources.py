"""What `convert_images` reads: the entries of a source, their classes, and folders of pictures.

The parent process lists the entries of a source once. A reader (`readers`) then delivers the
pictures of any of them in a process of the pool.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from lsgan_tf.datasets import picture_content, pictures
from lsgan_tf.datasets.catalog import TRAIN
from lsgan_tf.utils.errors import UserError

from . import folder_labels, label_files, messages
from .file_listing import ANY_NAME, is_hidden, walk_visible_files
from .readers import Entry, FileReader, FolderReader, Reader

_NAMED = 3  # of the files that are ignored


@dataclasses.dataclass(frozen=True)
class Choices:
    """What a user says about the labels, splits and names of a source."""

    labels: str = "auto"  # "auto", "folders" or "none"; see `list_pictures`
    table: label_files.Table | None = None  # of --labels=FILE
    splits: str = "auto"  # "auto": folders named train, test, ... are splits; "none"
    zip_encoding: str | None = None  # see `archives.open_zip`


@dataclasses.dataclass(frozen=True)
class Source:
    """The listing of a source."""

    reader: Reader
    entries: Sequence[Entry]
    class_names: tuple[str, ...] | None
    identity: str  # changes when the content does
    ignored: int = 0  # files that are not pictures
    ignored_names: tuple[str, ...] = ()  # of the first of them
    by_content: tuple[str, ...] = ()  # pictures though their endings do not say so
    labels_from: str = ""  # the label file; "": folders, or an array
    more: Mapping[str, "Source"] = dataclasses.field(default_factory=dict)  # further splits of it


def list_folder(root: Path, choices: Choices) -> Source:
    """Lists the pictures below `root`, hidden ones excepted.

    Args:
        root: the folder.
        choices: see `list_pictures`.

    Raises:
        UserError: as `list_pictures` does.
    """
    return list_pictures(FolderReader(root), _files(root), root, choices)


def _files(root: Path) -> Iterator[tuple[str, int, int]]:
    for path in walk_visible_files(root):
        status = path.stat()
        yield path.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns


def list_pictures(
    reader: FileReader, files: Iterable[tuple[str, int, int]], source: Path, choices: Choices
) -> Source:
    """Lists the pictures among the files of a source.

    Args:
        reader: of the source.
        files: name, size, and CRC or time of change.
        source: the source, for messages.
        choices: `labels` is "auto", which is a table, a label file of the source, or else its
            folders if there are two or more; "folders"; or "none".

    Raises:
        UserError: there is none, a label file cannot be used, or the labels are ambiguous.
    """
    names, by_content, hidden, others = [], [], 0, []
    digest = hashlib.sha256()
    for name, size, version in files:
        if is_hidden(name):
            hidden += 1
            continue
        if not name.lower().endswith(pictures.EXTENSIONS):
            if not _holds_picture(reader, name):
                others.append(name)
                continue
            by_content.append(name)
        digest.update(f"{name}\0{size}\0{version}\n".encode(*ANY_NAME))
        names.append(name)
    if not names:
        found = (
            f" among its {len(others)} files ({messages.first(others, _NAMED)})" if others else ""
        )
        accepted = " ".join(pictures.EXTENSIONS)
        raise UserError(
            f"there are no images in {source}{found}. Accepted are files whose name ends in "
            f"{accepted}, and those that are JPEG, PNG, GIF, WebP, AVIF or HEIC by their content"
        )
    table = choices.table or label_files.find(reader, others, source, choices.labels)
    parts = folder_labels.splits(names, source, choices.splits)
    labelled = folder_labels.label(parts, source, choices.labels, table)
    if table:
        digest.update(table.digest.encode())
        if table is not choices.table:  # which may be that of two sources
            table.tell_unused()
    others = [name for name in others if not table or name != table.name]
    _warn_of_lost_folders(names, others, source)
    sources = {
        split: Source(
            reader,
            [Entry(name, number) for name, number in entries],
            labelled.class_names,
            digest.hexdigest(),
            len(others) + hidden,
            tuple(others[:_NAMED]),
            tuple(by_content),
            table.name if table else "",
        )
        for split, entries in labelled.entries.items()
    }
    return dataclasses.replace(sources.pop(TRAIN), more=sources)


def _holds_picture(reader: FileReader, name: str) -> bool:
    """Whether the content of a file is a picture, whatever its name says."""
    try:
        with reader.opened(name) as file:
            head = file.read(picture_content.HEAD_BYTES)
    except pictures.BadImage:
        return False
    return picture_content.is_picture(head, any_format=not PurePosixPath(name).suffix)


def _warn_of_lost_folders(names: Sequence[str], others: Sequence[str], source: Path) -> None:
    """Names the folders that have files, but no picture in them or below."""
    with_pictures = {str(folder) for name in names for folder in PurePosixPath(name).parents}
    lost: dict[str, list[str]] = {}
    for name in others:
        folder = PurePosixPath(name).parent.as_posix()
        if folder not in with_pictures:
            lost.setdefault(folder, []).append(name)
    for folder, files in list(lost.items())[:_NAMED]:
        messages.warn(
            f"no file in {folder} of {source} is a picture of a known format: {len(files)} "
            f"({messages.first(files, _NAMED)})"
        )
    if len(lost) > _NAMED:
        messages.warn(f"so it is with {len(lost) - _NAMED} more folders")
