"""Pictures in a zip, read in place: nothing is ever extracted, no name of a member is opened."""

import contextlib
import dataclasses
import functools
import hashlib
from pathlib import Path

from lsgan_tf.datasets import pictures
from tools.sources import archives
from tools.sources.image_sources import (
    FileReader,
    Source,
    check_not_empty,
    is_picture,
    labelled,
)


@dataclasses.dataclass(frozen=True)
class ZipReader(FileReader):
    """Reads members of the zip at `path`."""

    path: Path

    @contextlib.contextmanager
    def opened(self, name):
        """See `FileReader.opened`."""
        try:
            with _opened(self.path).open(name) as file:
                yield file
        except pictures.BadImage:  # of whoever reads the file
            raise
        except archives.BROKEN as error:
            raise pictures.BadImage(f"it cannot be unpacked: {error}") from error


def zipped(path: Path, labels: str) -> Source:
    """Lists the pictures in a zip; labels as for `folder`.

    Raises:
        UserError: it is broken or encrypted, has members that climb out of it or share a name,
            or holds no pictures.
    """
    names, ignored = [], 0
    digest = hashlib.sha256()
    for member in archives.files(path, _opened(path)):
        if not is_picture(member.filename):
            ignored += 1
            continue
        digest.update(f"{member.filename}\0{member.file_size}\0{member.CRC}\n".encode())
        names.append(member.filename)
    check_not_empty(names, path)
    entries, class_names = labelled(names, path, labels)
    return Source(ZipReader(path), entries, class_names, digest.hexdigest(), ignored)


# A worker reads many shards of one zip, or of a few in turns.
_opened = functools.lru_cache(maxsize=4)(archives.open_zip)
