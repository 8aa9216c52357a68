"""Chooses images while a data set is read, in any order of shards, and draws them on one sheet."""

import bisect
import hashlib
import io
import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from lsgan_tf.datasets.manifest import Manifest
from lsgan_tf.utils import images
from lsgan_tf.utils.errors import UserError

MAX_CLASSES = 12
PER_CLASS = 12
GRID = 8  # rows and columns of an unlabelled set
MAX_TILE, MIN_TILE = 128, 56  # pixels: larger images are shrunk, smaller ones enlarged
MAX_BYTES = 300_000

_TEXT_SIZE = 18
_TEXT_MARGIN = 8
_MAX_NAME = 24  # characters
_MIN_COLUMNS = 6
_GREY = 128  # of images.grid, and of tiles that are missing


# A text chunk of PNG, which Pillow writes after the signature, the header and its own length.
_MARK_KEYWORD, _MARK_TEXT = "Software", "lsgan_tf verify_dataset"
_MARK, _MARK_AT = f"tEXt{_MARK_KEYWORD}\0{_MARK_TEXT}".encode(), 8 + 25 + 4

Place = tuple[int, int]  # number of the shard, of the record in it


class Gallery:
    """The images for the sheet, of those read so far.

    The records form groups, each of which contributes up to `capacity` images: those with the
    smallest hashes of their places, a random sample that does not depend on the order of reading.
    With labels, a group is one of up to 12 classes, evenly spaced in the list of classes. Without,
    it is one of 64 equal parts of the set.

    Attributes:
        class_names: of all classes.
        classes: the class of each group; None: unlabelled.
        groups: how many there are.
        capacity: how many images of a group are kept.
    """

    def __init__(self, class_names: Sequence[str] | None, counts: Sequence[int]):
        """Takes the names of the classes (None: unlabelled), and how many images each shard has."""
        self.class_names = names = class_names
        rows = min(MAX_CLASSES, len(names or ()))
        self.classes = [row * len(names) // rows for row in range(rows)] if names else None
        self.groups = len(self.classes) if names else GRID * GRID
        self.capacity = PER_CLASS if names else 1
        self._starts = list(itertools.accumulate(counts, initial=0))  # of each shard; their end
        self._kept: list[list[_Kept]] = [[] for _ in range(self.groups)]  # sorted by hash

    @staticmethod
    def of(contents: Manifest) -> "Gallery":
        """That of a data set."""
        return Gallery(contents.class_names, [shard.count for shard in contents.shards])

    def offer(
        self,
        place: Place,
        label: int | None,
        image: Image.Image,
        prepare: Callable[[Image.Image], Image.Image] = lambda image: image,
    ) -> None:
        """Keeps the image, prepared, if it is among the chosen ones of those offered so far."""
        group = self._group(place, label)
        if group is not None:
            kept, hash_ = self._kept[group], _hash(place)
            if len(kept) < self.capacity or hash_ < kept[-1].hash:
                self._keep(group, _Kept(hash_, place, _thumbnail(prepare(image))))

    def merge(self, other: "Gallery") -> None:
        """Adds the images that another gallery has kept."""
        for group, kept in enumerate(other._kept):
            for item in kept:
                self._keep(group, item)

    def tiles(self, group: int, count: int) -> list[np.ndarray]:
        """Up to `count` images of a group in the order of the set: uint8 [H, W, C]."""
        chosen = self._kept[group][:count]
        return [item.tile for item in sorted(chosen, key=lambda item: item.place)]

    def _group(self, place: Place, label: int | None) -> int | None:
        if self.classes is not None:
            return self.classes.index(label) if label in self.classes else None
        position = self._starts[place[0]] + place[1]
        return min(position * self.groups // self._starts[-1], self.groups - 1)

    def _keep(self, group: int, item: "_Kept") -> None:
        bisect.insort(self._kept[group], item, key=lambda kept: kept.hash)
        del self._kept[group][self.capacity :]


class _Kept(NamedTuple):
    hash: bytes
    place: Place
    tile: np.ndarray


def _hash(place: Place) -> bytes:
    return hashlib.blake2b(f"{place[0]} {place[1]}".encode(), digest_size=8).digest()


def _thumbnail(image: Image.Image) -> np.ndarray:
    return _pixels(_resized(image, min(1, MAX_TILE / max(image.size))))


def _pixels(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], -1)  # grey ones have no axis of channels


def _resized(image: Image.Image, scale: float) -> Image.Image:
    if scale == 1:
        return image
    size = [max(1, round(side * scale)) for side in image.size]
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR
    return image.resize(size, method)


class Font:
    """A typeface and the set of its characters."""

    def __init__(self, path: Path | None):
        """Opens a font file, by default DejaVu Sans; raises `UserError` if it cannot be read."""
        from matplotlib import ft2font  # imported here because the pool needs no font

        from lsgan_tf.datasets import digits

        chosen = path or digits.typeface_path("DejaVuSans")
        try:
            self._font = ImageFont.truetype(str(chosen), _TEXT_SIZE)
            self._characters = ft2font.FT2Font(str(chosen)).get_charmap().keys()
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(
                f"--font={chosen} cannot be read as a font ({error}); it must be a .ttf, .otf or "
                ".ttc file"
            ) from error

    def shown(self, name: str) -> str:
        """The name if the font has its characters, otherwise its code points, as in U+4E00."""
        if all(ord(char) in self._characters and char.isprintable() for char in name):
            return name if len(name) <= _MAX_NAME else name[:_MAX_NAME] + "..."
        codes = " ".join(f"U+{ord(char):04X}" for char in name[:3])
        return codes + " ..." * (len(name) > 3)

    def strip(self, lines: list[str], pitch: int, height: int) -> np.ndarray:
        """Draws one line every `pitch` pixels, black on white: uint8 [height, W, 1]."""
        width = max(int(self._font.getlength(line)) for line in lines) + 2 * _TEXT_MARGIN
        image = Image.new("L", (width, height), 255)
        draw = ImageDraw.Draw(image)
        for row, line in enumerate(lines):
            centre = row * pitch + pitch // 2
            draw.text((_TEXT_MARGIN, centre), line, font=self._font, fill=0, anchor="lm")
        return np.asarray(image)[..., np.newaxis]


def draw(gallery: Gallery, side: int, font: Font) -> bytes | None:
    """Draws the sheet as a PNG of at most 300 KB, if necessary with fewer or smaller tiles.

    Small images of noise, which are enlarged, can take up to 1 MB.

    Args:
        gallery: the images.
        side: their longer side, pixels.
        font: for the names of the classes.

    Returns:
        The file's bytes; None if no image was kept.
    """
    side = min(MAX_TILE, side)
    scale = max(1, -(-MIN_TILE // side))
    columns = GRID if gallery.classes is None else PER_CLASS
    while any(rows := _rows(gallery, columns)):
        data = encode(_sheet(rows, scale, gallery, font))
        if len(data) <= MAX_BYTES or (scale > 1 and columns <= _MIN_COLUMNS):
            return data
        if scale > 1:
            columns -= 2
        else:
            scale *= min(0.95, math.sqrt(MAX_BYTES / len(data)))
    return None


def is_sheet(path: Path) -> bool:
    """Whether a file has the mark of a sheet that `draw` made; raises `OSError`."""
    if not path.is_file():  # opening a pipe would block
        return False
    with open(path, "rb") as file:
        return file.read(_MARK_AT + len(_MARK))[_MARK_AT:] == _MARK


def encode(sheet: np.ndarray) -> bytes:
    """The sheet as a PNG with the mark that `is_sheet` looks for."""
    mark = PngImagePlugin.PngInfo()
    mark.add_text(_MARK_KEYWORD, _MARK_TEXT)
    file = io.BytesIO()
    _pillow(sheet).save(file, "PNG", pnginfo=mark)
    return file.getvalue()


def _pillow(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _rows(gallery: Gallery, columns: int) -> list[list[np.ndarray]]:
    if gallery.classes is not None:
        return [gallery.tiles(group, columns) for group in range(gallery.groups)]
    tiles = [tile for group in range(gallery.groups) for tile in gallery.tiles(group, 1)]
    count = min(len(tiles), columns * columns)
    spread = [tiles[number * len(tiles) // count] for number in range(count)]
    return [spread[start : start + columns] for start in range(0, count, columns)]


def _sheet(rows: list[list[np.ndarray]], scale: float, gallery: Gallery, font: Font) -> np.ndarray:
    rows = [[_scaled(tile, scale) for tile in row] for row in rows]
    columns = max(map(len, rows))
    missing = np.full_like(next(row for row in rows if row)[0], _GREY)
    tiles = [tile for row in rows for tile in row + [missing] * (columns - len(row))]
    sheet = images.grid(tiles, columns)
    if gallery.classes is None:
        return sheet
    names = [f"{number}  {font.shown(gallery.class_names[number])}" for number in gallery.classes]
    strip = font.strip(names, sheet.shape[0] // len(rows), sheet.shape[0])
    return np.concatenate([np.broadcast_to(strip, (*strip.shape[:2], sheet.shape[2])), sheet], 1)


def _scaled(tile: np.ndarray, scale: float) -> np.ndarray:
    return _pixels(_resized(_pillow(tile), scale))
