"""Generated pictures as files: a grid, an animation, one array of many, a folder. No TensorFlow."""

import codecs
import csv
import hashlib
import itertools
import re
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lsgan_tf.utils import files, images
from lsgan_tf.utils.errors import UserError

PICTURES = (".png", ".jpg", ".jpeg")
ARRAY = ".npz"
ANIMATION = ".gif"
TABLE = "labels.csv"
_REALS_LINE = 4  # pixels of black between real examples and generated ones
_HEADER = ["file", "label id", "class name"]
_NUMBERED = re.compile(r"\d{5,}\.png")
_NAMED = re.compile(r"\d{5,}-[\w.-]*\.png")
_DIGITS = 5
_LONGEST_NAME = 40  # characters: in UTF-8 well below the 255 bytes of a file's name


def check_ending(path: Path, endings: Sequence[str], why: str = "") -> None:
    """Refuses a file whose ending does not say one of these formats, and the path of a folder.

    Args:
        path: the file.
        endings: the ones it may have, such as ".png".
        why: what it is, for the message: " with --interpolate=gif", for example.

    Raises:
        UserError: it has another ending; names those it may have.
    """
    if path.suffix.lower() not in endings:
        *others, last = endings
        known = f"{', '.join(others)} or {last}" if others else last
        raise UserError(f"--output={path} must end in {known}{why}.")
    if path.is_dir():
        raise UserError(f"--output={path} is a folder; name a file.")


def write_grid(
    path: Path,
    pictures: np.ndarray,
    columns: int,
    reals: np.ndarray | None = None,
    scale: int = 1,
) -> Path:
    """Writes a grid as one picture; returns the path.

    Args:
        path: the file.
        pictures: uint8 [N, H, W, C].
        columns: columns of the grid.
        reals: real examples above the grid, uint8 [columns, H, W, C], or None.
        scale: the side of the square that shows a pixel.
    """
    picture = images.grid(pictures, columns)
    if reals is not None:
        line = np.zeros((_REALS_LINE, *picture.shape[1:]), np.uint8)
        picture = np.concatenate([images.grid(reals, columns), line, picture])
    return write_picture(path, images.enlarged(picture, scale))


def write_picture(path: Path, picture: np.ndarray) -> Path:
    """Writes uint8 [H, W, C] as a JPEG if the path ends so, else as a PNG; returns the path."""
    png = path.suffix.lower() not in PICTURES[1:]
    files.write_bytes(path, (images.encode_png if png else images.encode_jpeg)(picture))
    return path


def write_gif(path: Path, pictures: np.ndarray, scale: int = 1) -> Path:
    """Writes uint8 [N, H, W, C] as an animation, a pixel as a square of side `scale`; returns the
    path."""
    frames = (images.enlarged(picture, scale) for picture in pictures)
    files.write_bytes(path, images.encode_gif(frames))
    return path


def write_array(
    path: Path,
    batches: Iterable[np.ndarray],
    shape: tuple[int, int, int, int],
    labels: np.ndarray | None = None,
) -> Path:
    """Writes an .npz of `arr_0`, uint8 [N, H, W, C], and `labels`, int64 [N]; returns the path.

    Evaluators of other projects read pictures so. A batch is held at a time.

    Args:
        path: the file.
        batches: the pictures in order, uint8 [b, H, W, C].
        shape: N, H, W, C.
        labels: their labels, [N], or None.

    Raises:
        UserError: the file cannot be written; there is none then.
    """
    header = {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)}
    with files.replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        with archive.open("arr_0.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for batch in batches:
                member.write(np.ascontiguousarray(batch).data)
        if labels is not None:
            with archive.open("labels.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, labels.astype(np.int64), allow_pickle=False)
    return path


def write_separately(
    directory: Path,
    batches: Iterable[np.ndarray],
    count: int,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] = (),
) -> Path:
    """Writes DIRECTORY/00000.png and so on, with labels 00000-CLASS.png and a table of them.

    Replaces what an earlier call has written there. A batch is held at a time.

    Args:
        directory: the folder; it is made.
        batches: the pictures in order, uint8 [b, H, W, C].
        count: how many there are.
        labels: their labels, [count], or None.
        class_names: names of the labels.

    Returns:
        The directory.

    Raises:
        UserError: it cannot be written, or the directory holds other files.
    """
    _clear(directory)
    digits = max(_DIGITS, len(str(count - 1)))
    safe = [safe_name(name) for name in class_names]

    def name(index):
        number = f"{index:0{digits}d}"
        return f"{number}.png" if labels is None else f"{number}-{safe[labels[index]]}.png"

    if labels is not None:
        rows = ([name(i), label, class_names[label]] for i, label in enumerate(labels.tolist()))
        _write_table(directory / TABLE, rows)
    for index, picture in enumerate(itertools.chain.from_iterable(batches)):
        files.write_bytes(directory / name(index), images.encode_png(picture))
    return directory


def safe_name(name: str) -> str:
    """A name as a part of a file's name: letters, digits, "_", "-" and ".", 40 at most."""
    return re.sub(r"[^\w.-]+", "_", name)[:_LONGEST_NAME]


def safe_names(names: Sequence[str]) -> str:
    """Some names as a part of a file's name: short plain ones in full, others as their beginning
    and a digest, so that other names are another part."""
    joined = "-".join(map(safe_name, names))
    if len(joined) <= _LONGEST_NAME and all(re.fullmatch(r"\w+", name) for name in names):
        return joined
    digest = hashlib.sha256(repr(list(names)).encode(errors="backslashreplace")).hexdigest()
    return f"{joined[:_LONGEST_NAME]}-{digest[:8]}"


def _write_table(path, rows):
    with files.replacing(path) as file:
        # Names that come from files may hold halves of surrogate pairs.
        text = codecs.getwriter("utf-8")(file, errors="backslashreplace")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(_HEADER)
        table.writerows(rows)


def _clear(directory):
    """Makes the folder, and removes the files of an earlier call, the table of them last."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        existing = sorted(path.name for path in directory.iterdir())
        table = directory / TABLE
        listed = _listed(table) if TABLE in existing else set()
        others = [name for name in existing if name not in listed and not _NUMBERED.fullmatch(name)]
        if others:
            raise UserError(
                f"{directory} holds other files ({others[0]!r}); choose another --output."
            )
        for name in existing:
            if name != TABLE:
                (directory / name).unlink()
        table.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"Cannot make the directory {directory}: {error}.") from error


def _listed(table):
    """The names of the files in a table that `_write_table` wrote, and its own; else none."""
    with open(table, encoding="utf-8", errors="replace", newline="") as file:
        try:
            rows = csv.reader(file)
            if next(rows, None) != _HEADER:
                return set()
            names = {row[0] for row in rows if row}
            return {name for name in names if _NAMED.fullmatch(name)} | {TABLE}
        except csv.Error:
            return set()
