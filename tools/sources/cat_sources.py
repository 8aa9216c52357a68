"""Where `convert_cats` finds photographs and their annotations: folders, zips, single annotations.

NAME.jpg belongs to NAME.jpg.cat, even where the two are in different folders or sources.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from PIL import Image

from lsgan_tf.datasets import pictures
from lsgan_tf.utils.errors import UserError

from . import archives, cat_faces, contents, file_listing
from .archives import ZipReader
from .contents import Contents
from .image_sources import Source
from .readers import Entry, FileReader, FolderReader

PICTURE, ANNOTATION = ".jpg", ".jpg.cat"


@dataclasses.dataclass(frozen=True)
class CatFile:
    """A file of a source."""

    path: str  # within the source
    full_name: str  # for messages: its name and its source
    reader: FileReader  # of its source
    size: int  # bytes, unpacked
    version: int  # CRC or time of change

    def has_extension(self, extension: str) -> bool:
        """Whether its name ends in `extension`, in capitals or not."""
        return self.path.lower().endswith(extension)

    def name(self, extension: str) -> str:
        """Its name without folders and extension."""
        return PurePosixPath(self.path).name[: -len(extension)]


@dataclasses.dataclass(frozen=True)
class Cat:
    """A photograph with its annotation."""

    name: str  # of both, without extension, e.g. 00000003_015
    picture: CatFile
    annotation: CatFile | None

    def face(self) -> cat_faces.Face:
        """Finds the face from the annotation and the header of the picture.

        Raises:
            BadImage: one of the two cannot be used.
        """
        if self.annotation is None:
            raise pictures.BadImage(f"it has no annotation {self.name}{ANNOTATION}")
        with self.annotation.reader.opened(self.annotation.path) as file:
            points = cat_faces.parse_landmarks(file.read(cat_faces.MAX_ANNOTATION_BYTES + 1))
        if self.picture.size > pictures.MAX_FILE_BYTES:
            raise pictures.BadImage(f"it is larger than {pictures.MAX_FILE_BYTES} bytes")
        with self.picture.reader.opened(self.picture.path) as file:
            return cat_faces.locate_face(points, pictures.size(file))

    def decode(self) -> Image.Image | pictures.BadImage:
        """Decodes the photograph: mode L or RGB, or the `BadImage` that says what is wrong."""
        ((_, image),) = self.picture.reader.read([Entry(self.picture.path, None)])
        return image


@dataclasses.dataclass(frozen=True)
class Listing:
    """The photographs of all sources."""

    cats: tuple[Cat, ...]  # sorted by name
    overridden: tuple[str, ...]  # for messages: which annotations replace which
    unmatched: int  # annotations without a picture
    ignored: int  # files of other kinds
    identity: str  # changes when the contents do


def find(sources: Sequence[Path]) -> Listing:
    """Lists what is in folders, zips and single annotations, hidden files excepted.

    An annotation takes the place of one of the same name in an earlier source.

    Raises:
        UserError: a source cannot be used or holds nothing, two pictures have the same name, or
            two annotations in one source.
    """
    if not sources:
        raise UserError("--source is empty: give it folders, zips or annotations")
    photographs, annotations = {}, {}
    overridden, ignored = [], 0
    for source in sources:
        files = list(_files_of(source))
        added_photographs = [file for file in files if file.has_extension(PICTURE)]
        added_annotations = _by_name(
            [file for file in files if file.has_extension(ANNOTATION)], ANNOTATION
        )
        if not added_photographs and not added_annotations:
            raise _no_files(source, files)
        photographs = _by_name([*photographs.values(), *added_photographs], PICTURE)
        for name in sorted(annotations.keys() & added_annotations.keys()):
            earlier, later = annotations[name].full_name, added_annotations[name].full_name
            overridden.append(f"{earlier} is overridden by {later}")
        annotations |= added_annotations
        ignored += len(files) - len(added_photographs) - len(added_annotations)
    if not photographs:
        raise UserError(
            f"there are annotations but no photographs (NAME{PICTURE}) in "
            f"{', '.join(map(str, sources))}"
        )
    cats = [Cat(name, photographs[name], annotations.get(name)) for name in sorted(photographs)]
    unmatched = len(annotations.keys() - photographs.keys())
    return Listing(tuple(cats), tuple(overridden), unmatched, ignored, _identity(cats))


def contents_of(cats: Sequence[Cat], processes: int) -> Contents:
    """Those of the photographs."""
    by_reader: dict[FileReader, list[int]] = {}
    for number, cat in enumerate(cats):
        by_reader.setdefault(cat.picture.reader, []).append(number)
    sources = {
        reader: Source(reader, [Entry(cats[n].picture.path, None) for n in numbers], None, "")
        for reader, numbers in by_reader.items()
    }
    found = Contents.unknown(len(cats))
    for reader, its in contents.survey(sources, processes).items():
        numbers = by_reader[reader]
        found.digests[numbers], found.known[numbers] = its.digests, its.known
    return found


def _by_name(files: Iterable[CatFile], extension: str) -> dict[str, CatFile]:
    by_name = {}
    for file in files:
        other = by_name.setdefault(file.name(extension), file)
        if other is not file:
            advice = "Leave one out"
            if extension == ANNOTATION:
                advice += "; to override the other with it, pass it as a --source of its own"
            raise UserError(
                f"{other.full_name} and {file.full_name} have the same name, and an annotation "
                f"belongs to the picture of its name. {advice}"
            )
    return by_name


def _files_of(source: Path) -> Iterator[CatFile]:
    kind = file_listing.kind(source)
    if kind == "folder":
        names = [
            path.relative_to(source).as_posix() for path in file_listing.walk_visible_files(source)
        ]
        return _plain(source, [name for name in names if not file_listing.is_hidden(name)])
    if kind is None:
        raise UserError(f"--source={source} does not exist")
    if source.suffix.lower() == ".zip":
        return _zipped(source)
    if source.name.lower().endswith(ANNOTATION):
        return _plain(source.parent, [source.name])
    raise UserError(f"--source={source} is neither a folder nor a .zip nor an annotation")


def _plain(folder: Path, names: Iterable[str]) -> Iterator[CatFile]:
    reader = FolderReader(folder)
    for name in names:
        status = (folder / name).stat()
        yield CatFile(name, str(folder / name), reader, status.st_size, status.st_mtime_ns)


def _zipped(path: Path) -> Iterator[CatFile]:
    reader = ZipReader(path)
    with archives.open_zip(path) as archive:
        for member in archives.list_files(path, archive):
            name = member.filename
            if not file_listing.is_hidden(name):
                yield CatFile(name, f"{name} in {path}", reader, member.file_size, member.CRC)


def _no_files(source: Path, files: Sequence[CatFile]) -> UserError:
    zips = [file for file in files if file.has_extension(".zip")]
    if zips:
        return UserError(
            f"there are no photographs (NAME{PICTURE}) in {source}, but {zips[0].path}"
            f"{' and other zips' * (len(zips) > 1)}. Pass each zip as a --source of its own"
        )
    return UserError(
        f"there are neither photographs (NAME{PICTURE}) nor annotations (NAME{ANNOTATION}) in "
        f"{source} ({len(files)} files of other kinds)"
    )


def _identity(cats: Sequence[Cat]) -> str:
    digest = hashlib.sha256()
    for cat in cats:
        for file in (cat.picture, cat.annotation):
            text = f"{file.path}\0{file.size}\0{file.version}\n" if file else "\n"
            digest.update(text.encode(*file_listing.ANY_NAME))
    return digest.hexdigest()
