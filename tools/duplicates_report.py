"""What --deduplicate leaves out: a list of all pairs, and a sheet of the first, beside the set.

DIR.duplicates.csv names what stays and what goes; DIR.duplicates.png shows the pairs of its first
rows, each with what stays on the left.
"""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from lsgan_tf.datasets import pictures
from lsgan_tf.datasets.manifest import text
from lsgan_tf.utils import files, images
from lsgan_tf.utils.errors import UserError

from .sources.duplicates import Pair, Picture
from .sources.image_sources import Source
from .verifying import contact_sheet

PAIRS = 60  # on the sheet
_COLUMNS = 6
_SIDE = 64  # of a picture on it, pixels
_FIELDS = (
    "kept", "kept_split", "kept_class", "dropped", "dropped_split", "dropped_class", "how",
)  # fmt: skip
_HEADER = (",".join(_FIELDS) + "\n").encode()


class Report:
    """The two files of a data set; checked before anything is read."""

    def __init__(self, output_dir: Path):
        """Raises `UserError` if other files than those of such a report are in their places."""
        self.list = output_dir.with_name(f"{output_dir.name}.duplicates.csv")
        self.sheet = output_dir.with_name(f"{output_dir.name}.duplicates.png")
        for path, is_ours in ((self.list, _is_list), (self.sheet, contact_sheet.is_sheet)):
            if os.path.lexists(path) and not is_ours(path):
                raise UserError(
                    f"--deduplicate would write {path}, where another file is. Move that, or "
                    "choose another --output_dir"
                )

    def write(self, pairs: list[Pair], listings: Mapping[str, Source]) -> None:
        """Writes both; first what needs a look: what is alike, then equal images of two classes."""
        pairs = sorted(pairs, key=lambda pair: (pair.equal, not pair.is_conflict))
        class_names = listings["train"].class_names
        files.write_bytes(self.list, _listed(pairs, class_names))
        files.write_bytes(self.sheet, _drawn(pairs[:PAIRS], listings))


def _is_list(path: Path) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(_HEADER)) == _HEADER


def _listed(pairs: list[Pair], class_names: tuple[str, ...] | None) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_FIELDS)
    for pair in pairs:
        row = []
        for one in (pair.kept, pair.dropped):
            label = one.entry.label
            row += [one.entry.name, one.split, "" if label is None else class_names[label]]
        writer.writerow([*map(text, row), "equal" if pair.equal else "alike"])
    return out.getvalue().encode()


def _drawn(pairs: list[Pair], listings: Mapping[str, Source]) -> bytes:
    """The sheet: a PNG."""
    wanted = {one for pair in pairs for one in (pair.kept, pair.dropped)}
    tiles: dict[Picture, np.ndarray] = {}
    for split, source in listings.items():
        # In the order of the source: what is compressed can only be read that way.
        entries = [entry for entry in source.entries if Picture(split, entry) in wanted]
        for entry, image in source.reader.read(entries):
            tiles[Picture(split, entry)] = _tile(image)
    shown = [np.concatenate([tiles[pair.kept], tiles[pair.dropped]], 1) for pair in pairs]
    return contact_sheet.encode(images.grid(shown, _COLUMNS, gap=6))


def _tile(image: Image.Image | pictures.BadImage) -> np.ndarray:
    canvas = Image.new("RGB", (_SIDE, _SIDE), "grey")
    if not isinstance(image, pictures.BadImage):
        small = ImageOps.contain(pictures.in_srgb(image).convert("RGB"), canvas.size)
        canvas.paste(small, ((_SIDE - small.width) // 2, (_SIDE - small.height) // 2))
    return np.asarray(canvas)
