"""Where `convert_cats` finds photographs and their annotations: folders, zips, single annotations.

NAME.jpg belongs to NAME.jpg.cat, in whichever folders and sources the two are.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from PIL import Image

from lsgan_tf.datasets import pictures
from lsgan_tf.utils.errors import UserError
from tools.sources import archives, cat_faces, file_listing
from tools.sources.image_sources import Entry, FileReader, FolderReader
from tools.sources.zip_source import ZipReader

PICTURE, ANNOTATION = ".jpg", ".jpg.cat"


@dataclasses.dataclass(frozen=True)
class CatFile:
    """A file of a source."""

    path: str  # within the source
    full_name: str  # where it is, for people
    reader: FileReader  # of its source
    size: int  # bytes, unpacked
    version: int  # CRC or time of change

    def is_of(self, extension: str) -> bool:
        """Whether its name ends so, in capitals or not."""
        return self.path.lower().endswith(extension)

    def name(self, extension: str) -> str:
        """Its name without folders and extension."""
        return PurePosixPath(self.path).name[: -len(extension)]


@dataclasses.dataclass(frozen=True)
class Cat:
    """A photograph with its annotation."""

    name: str  # what the names of the two begin with, e.g. 00000003_015
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
            points = cat_faces.landmarks(file.read(cat_faces.MAX_ANNOTATION_BYTES + 1))
        if self.picture.size > pictures.MAX_FILE_BYTES:
            raise pictures.BadImage(f"it is larger than {pictures.MAX_FILE_BYTES} bytes")
        with self.picture.reader.opened(self.picture.path) as file:
            return cat_faces.face(points, pictures.size(file))

    def decode(self) -> Image.Image | pictures.BadImage:
        """Its picture (mode L or RGB), or the `BadImage` that says what is wrong with it."""
        ((_, image),) = self.picture.reader.read([Entry(self.picture.path, None)])
        return image


@dataclasses.dataclass(frozen=True)
class Listing:
    """The photographs of all sources."""

    cats: tuple[Cat, ...]  # sorted by name
    overridden: tuple[str, ...]  # for people: which annotations give way to which
    strays: int  # annotations without a picture
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
        raise UserError("--source names nothing")
    photographs, annotations = {}, {}
    overridden, ignored = [], 0
    for source in sources:
        files = list(_files_of(source))
        its_pictures = [file for file in files if file.is_of(PICTURE)]
        its_annotations = _by_name([file for file in files if file.is_of(ANNOTATION)], ANNOTATION)
        if not its_pictures and not its_annotations:
            raise _nothing_in(source, files)
        photographs = _by_name([*photographs.values(), *its_pictures], PICTURE)
        for name in sorted(annotations.keys() & its_annotations.keys()):
            was, becomes = annotations[name].full_name, its_annotations[name].full_name
            overridden.append(f"{was} is overridden by {becomes}")
        annotations |= its_annotations
        ignored += len(files) - len(its_pictures) - len(its_annotations)
    if not photographs:
        raise UserError(
            f"there are annotations but no photographs (NAME{PICTURE}) in "
            f"{', '.join(map(str, sources))}"
        )
    cats = [Cat(name, photographs[name], annotations.get(name)) for name in sorted(photographs)]
    strays = len(annotations.keys() - photographs.keys())
    return Listing(tuple(cats), tuple(overridden), strays, ignored, _identity(cats))


def _by_name(files: Iterable[CatFile], extension: str) -> dict[str, CatFile]:
    found = {}
    for file in files:
        other = found.setdefault(file.name(extension), file)
        if other is not file:
            advice = "Leave one out"
            if extension == ANNOTATION:
                advice += "; one that is to override the other must be a --source of its own"
            raise UserError(
                f"{other.full_name} and {file.full_name} have the same name, and names tell which "
                f"annotation belongs to which picture. {advice}"
            )
    return found


def _files_of(source: Path) -> Iterator[CatFile]:
    kind = file_listing.kind(source)
    if kind == "folder":
        names = [path.relative_to(source).as_posix() for path in file_listing.visible_files(source)]
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
        for member in archives.files(path, archive):
            name = member.filename
            if not file_listing.is_hidden(name):
                yield CatFile(name, f"{name} in {path}", reader, member.file_size, member.CRC)


def _nothing_in(source: Path, files: Sequence[CatFile]) -> UserError:
    zips = [file for file in files if file.is_of(".zip")]
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
