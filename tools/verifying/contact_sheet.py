"""Picks images while a data set is read, whatever the order, and draws them on one sheet."""

import dataclasses
import hashlib
import heapq
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

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


def _text_chunk(keyword: bytes, text: bytes) -> bytes:
    """A tEXt chunk of a PNG file (PNG, second edition, 11.3.4.3)."""
    body = b"tEXt" + keyword + b"\0" + text
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


_MARK = _text_chunk(b"Software", b"lsgan_tf verify_dataset")
_MARK_AT = 33  # after the signature and the header, which have 8 and 25 bytes

Place = tuple[int, int]  # number of the shard, of the record in it


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which images go on the sheet.

    The records are divided into groups, of each of which a bounded number is kept: those of
    classes spread over the list of classes or, without labels, those of one of 64 equal parts.
    """

    classes: tuple[int, ...] | None  # the row of each is its place here; None: unlabelled
    starts: tuple[int, ...]  # of each shard: its first record's number in the set
    total: int

    @staticmethod
    def of(contents: Manifest) -> "Choice":
        names, starts = contents.class_names, [0]
        for shard in contents.shards:
            starts.append(starts[-1] + shard.count)
        classes = None
        if names:
            rows = min(MAX_CLASSES, len(names))
            classes = tuple(row * len(names) // rows for row in range(rows))
        return Choice(classes, tuple(starts[:-1]), starts[-1])

    @property
    def groups(self) -> int:
        return GRID * GRID if self.classes is None else len(self.classes)

    @property
    def capacity(self) -> int:
        return 1 if self.classes is None else PER_CLASS

    def group(self, place: Place, label: int | None) -> int | None:
        """The group of a record; None if it has none."""
        if self.classes is None:
            position = self.starts[place[0]] + place[1]
            return min(position * self.groups // self.total, self.groups - 1)
        return self.classes.index(label) if label in self.classes else None


class Gallery:
    """The images kept so far: those of each group whose places have the smallest hashes."""

    def __init__(self, choice: Choice):
        self._choice = choice
        # Heaps, the largest hash first.
        self._kept: list[list[tuple[int, Place, np.ndarray]]] = [[] for _ in range(choice.groups)]

    def offer(self, place: Place, label: int | None, image: Image.Image) -> None:
        """Keeps the image if it belongs on the sheet as far as is known yet."""
        group = self._choice.group(place, label)
        if group is not None:
            priority = _priority(place)
            kept = self._kept[group]
            if len(kept) < self._choice.capacity or (priority, place) > kept[0][:2]:
                self._keep(group, (priority, place, _thumbnail(image)))

    def merge(self, other: "Gallery") -> None:
        """Offers all that another gallery has kept."""
        for group, kept in enumerate(other._kept):
            for item in kept:
                self._keep(group, item)

    def tiles(self, group: int, count: int) -> list[np.ndarray]:
        """Up to `count` images of a group in the order of the set: uint8 [H, W, C]."""
        chosen = heapq.nlargest(count, self._kept[group], key=lambda item: item[:2])
        return [tile for _, _, tile in sorted(chosen, key=lambda item: item[1])]

    def _keep(self, group: int, item: tuple[int, Place, np.ndarray]) -> None:
        kept = self._kept[group]
        if len(kept) < self._choice.capacity:
            heapq.heappush(kept, item)
        else:
            heapq.heappushpop(kept, item)


def _priority(place: Place) -> int:
    digest = hashlib.blake2b(f"{place[0]} {place[1]}".encode(), digest_size=8)
    return -int.from_bytes(digest.digest())


def _thumbnail(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(_resized(image, min(1, MAX_TILE / max(image.size))))
    return pixels.reshape(*pixels.shape[:2], -1)


def _resized(image: Image.Image, scale: float) -> Image.Image:
    if scale == 1:
        return image
    size = [max(1, round(side * scale)) for side in image.size]
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR
    return image.resize(size, method)


class Font:
    """A typeface, and which characters it has."""

    def __init__(self, path: Path | None):
        """Opens a font file, by default DejaVu Sans; raises `UserError` if it cannot be read."""
        from matplotlib import ft2font  # not at the top: workers draw nothing

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
        """The name if it can be drawn, otherwise its code points, as in U+4E00."""
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


def draw(gallery: Gallery, choice: Choice, contents: Manifest, font: Font) -> bytes | None:
    """Draws the sheet as a PNG of at most 300 KB, if need be of fewer or smaller tiles.

    Noise that is enlarged may take more, up to 1 MB.

    Returns:
        The file's bytes; None if no image was kept.
    """
    side = min(MAX_TILE, max(contents.image_shape[:2]))
    scale = max(1, -(-MIN_TILE // side))
    columns = GRID if choice.classes is None else PER_CLASS
    while any(rows := _rows(gallery, choice, columns)):
        data = _marked(images.encode_png(_sheet(rows, scale, choice, contents, font)))
        if len(data) <= MAX_BYTES or (scale > 1 and columns <= _MIN_COLUMNS):
            return data
        if scale > 1:
            columns -= 2
        else:
            scale *= min(0.95, math.sqrt(MAX_BYTES / len(data)))
    return None


def is_sheet(path: Path) -> bool:
    """Whether `draw` made this file: whether it has its mark; raises `OSError`."""
    if not path.is_file():  # opening a pipe would wait for ever
        return False
    with open(path, "rb") as file:
        return file.read(_MARK_AT + len(_MARK))[_MARK_AT:] == _MARK


def _marked(png: bytes) -> bytes:
    return png[:_MARK_AT] + _MARK + png[_MARK_AT:]


def _rows(gallery: Gallery, choice: Choice, columns: int) -> list[list[np.ndarray]]:
    if choice.classes is not None:
        return [gallery.tiles(group, columns) for group in range(choice.groups)]
    tiles = [tile for group in range(choice.groups) for tile in gallery.tiles(group, 1)]
    count = min(len(tiles), columns * columns)
    spread = [tiles[number * len(tiles) // count] for number in range(count)]
    return [spread[start : start + columns] for start in range(0, count, columns)]


def _sheet(
    rows: list[list[np.ndarray]], scale: float, choice: Choice, contents: Manifest, font: Font
) -> np.ndarray:
    rows = [[_scaled(tile, scale) for tile in row] for row in rows]
    columns = max(map(len, rows))
    missing = np.full_like(next(row for row in rows if row)[0], _GREY)
    tiles = [tile for row in rows for tile in row + [missing] * (columns - len(row))]
    sheet = images.grid(tiles, columns)
    if choice.classes is None:
        return sheet
    names = [f"{number}  {font.shown(contents.class_names[number])}" for number in choice.classes]
    strip = font.strip(names, sheet.shape[0] // len(rows), sheet.shape[0])
    return np.concatenate([np.broadcast_to(strip, (*strip.shape[:2], sheet.shape[2])), sheet], 1)


def _scaled(tile: np.ndarray, scale: float) -> np.ndarray:
    image = Image.fromarray(tile[..., 0] if tile.shape[2] == 1 else tile)
    return np.asarray(_resized(image, scale)).reshape(
        max(1, round(tile.shape[0] * scale)), max(1, round(tile.shape[1] * scale)), tile.shape[2]
    )
