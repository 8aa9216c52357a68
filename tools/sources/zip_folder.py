"""A folder of zips: read as if each were unpacked into a folder of its name.

So the zips are the classes, or, if they are named train.zip, test.zip and the like, the splits.
Zips with class folders of their own are refused: of which of the two the classes are is not clear.
"""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from lsgan_tf.datasets import pictures
from lsgan_tf.utils.errors import UserError

from . import archives, file_listing, folder_labels, image_sources, messages
from .image_sources import Choices, Source
from .readers import FileReader

FILES = re.compile(r".*\.zip", re.I)
_MAX_NAMED = 5


@dataclasses.dataclass(frozen=True)
class ZipFolderReader(FileReader):
    """Reads members of the zips in `root`; entries are named `STEM/MEMBER`."""

    root: Path
    endings: tuple[tuple[str, str], ...]  # stem of each zip -> how its name goes on
    encoding: str | None = None  # as for `archives.open_zip`

    @contextlib.contextmanager
    def opened(self, name):
        """See `FileReader.opened`."""
        stem, _, member = name.partition("/")
        path = self.root / f"{stem}{dict(self.endings)[stem]}"
        with archives.ZipReader(path, self.encoding).opened(member) as file:
            yield file


def find(folder: Path, names: Sequence[str]) -> list[str]:
    """The zips of a folder, if it has no pictures and no folders; sorted.

    Args:
        folder: the folder.
        names: of what is visible in it.
    """
    if any(name.lower().endswith(pictures.EXTENSIONS) for name in names) or any(
        os.path.isdir(folder / name) for name in names
    ):
        return []
    return sorted(name for name in names if FILES.fullmatch(name))


def list_zips(folder: Path, names: Sequence[str], choices: Choices) -> Source:
    """Lists the pictures in the zips of a folder.

    Args:
        folder: the folder.
        names: of the zips.
        choices: see `image_sources.list_pictures`.

    Raises:
        UserError: two zips have the same name but for the case of the ending, they have class
            folders of their own, or as `archives.list_zip` does.
    """
    stems = {}
    for name in names:
        stem, ending = os.path.splitext(name)
        if stem in stems:
            raise UserError(f"{folder} has {stem}{stems[stem]} and {name}; rename one of them")
        stems[stem] = ending
    files = list(_files(folder, stems, choices))
    splits = {folder_labels.SPLITS.get(stem.lower()) for stem in stems}
    if choices.labels == "auto" and choices.table is None and (None in splits or len(splits) < 2):
        _check_without_folders(folder, [name for name, _, _ in files], stems)
    reader = ZipFolderReader(folder, tuple(stems.items()), choices.zip_encoding)
    return image_sources.list_pictures(reader, files, folder, choices)


def _files(folder: Path, stems: dict[str, str], choices: Choices) -> Iterator[tuple[str, int, int]]:
    encoding = choices.zip_encoding
    for stem, ending in stems.items():
        path = folder / f"{stem}{ending}"
        with archives.open_zip(path, encoding) as archive:
            for member in archives.list_files(path, archive, encoding):
                yield f"{stem}/{member.filename}", member.file_size, member.CRC


def _check_without_folders(folder: Path, names: Sequence[str], stems: dict[str, str]) -> None:
    for stem, ending in stems.items():
        within = [name for name in names if name.startswith(f"{stem}/")]
        found = {
            str(PurePosixPath(name).parent.relative_to(stem))
            for name in within
            if not file_listing.is_hidden(name) and name.lower().endswith(pictures.EXTENSIONS)
        }
        if len(found) > 1:
            raise UserError(
                f"{folder} is a folder of zips, and {stem}{ending} has folders of its own "
                f"({messages.first(sorted(found), _MAX_NAMED)}). Choose --labels=none or folders "
                "(each zip is a class), or unpack the zips into one folder and pass that"
            )
