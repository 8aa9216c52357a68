"""The embedded data sets: digits rendered from the typefaces that matplotlib ships.

`printed_digits`: 60,000 digits in fifteen typefaces, the data set of a first run.

`digits_shift` and `digits_rotate`: the data sets with small variability of the PAMI 2019 paper,
rendered anew after it and the files its authors published: one Times-like typeface, one size,
digits 28 pixels high in 28x28 images, 1000 images per class; shifted horizontally, or shifted and
rotated.

Image i of each set shows digit i % 10; everything else about it is drawn from (SEED, i), so that a
set does not depend on how it is cut into shards.
"""

import functools
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageDraw, ImageFont

from lsgan_tf.datasets import writer
from lsgan_tf.utils import images

PRINTED, SHIFT, ROTATE = "printed_digits", "digits_shift", "digits_rotate"
SIZE = 28  # pixels: the side of all images, and the height of every small digit
SEED = 2017

PRINTED_COUNT = 60_000
TYPEFACES = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique",
    "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic",
    "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
    "cmr10", "cmb10", "cmss10", "cmtt10", "cmti10",
)  # fmt: skip
_PRINTED_HEIGHTS = (17.0, 22.0)  # of the digit, pixels
_PRINTED_MAX_ANGLE = 15.0  # degrees, both ways
_PRINTED_OVERSAMPLING = 4

SMALL_PER_CLASS = 1000
_SMALL_TYPEFACE = "STIXGeneral"
_SMALL_MAX_ANGLE = 10.0  # degrees, both ways
_SMALL_OVERSAMPLING = 8


def plan_printed(count: int = PRINTED_COUNT) -> writer.Plan:
    """How to write `printed_digits`: `count` labelled 28x28 grey images, white ink on black."""
    source = "digits rendered from the typefaces in matplotlib"
    return _plan(PRINTED, count, source, TYPEFACES, render_printed)


def plan_small(name: str) -> writer.Plan:
    """How to write SHIFT or ROTATE: 10,000 labelled 28x28 grey images, white ink on black."""
    source = f"digits rendered in {_SMALL_TYPEFACE}"
    render = functools.partial(render_small, rotate=name == ROTATE)
    return _plan(name, 10 * SMALL_PER_CLASS, source, (_SMALL_TYPEFACE,), render)


def _plan(
    name: str,
    count: int,
    source: str,
    typefaces: tuple[str, ...],
    render: Callable[[int], Image.Image],
) -> writer.Plan:
    identity = hashlib.sha256(PIL.__version__.encode())  # of the renderer and the font files
    for typeface in typefaces:
        identity.update(typeface_path(typeface).read_bytes())
    return writer.Plan(
        image_shape=(SIZE, SIZE, 1),
        encoding="png",
        class_names=tuple("0123456789"),
        source=source,
        source_identity=identity.hexdigest(),
        tool="lsgan_tf.datasets.embedded",
        flags={"name": name, "count": count, "seed": SEED},
        jobs=[
            writer.ShardJob(_records, (start, stop, render), stop - start)
            for start, stop in writer.shard_bounds(count)
        ],
    )


def _records(
    start: int, stop: int, render: Callable[[int], Image.Image]
) -> Iterator[writer.Record]:
    for index in range(start, stop):
        pixels = np.asarray(render(index))[..., np.newaxis]
        yield writer.Record(images.encode_png(pixels), label=index % 10)


def render_printed(index: int) -> Image.Image:
    """Image `index` of `printed_digits`: its typeface, height, angle and place are random."""
    rng = np.random.default_rng([SEED, index])
    typeface = TYPEFACES[rng.integers(len(TYPEFACES))]
    height = rng.uniform(*_PRINTED_HEIGHTS)
    angle = rng.uniform(-_PRINTED_MAX_ANGLE, _PRINTED_MAX_ANGLE)
    digit = _rotated(str(index % 10), typeface, height, angle)
    canvas = Image.new("L", (SIZE * _PRINTED_OVERSAMPLING,) * 2)
    room = [max(0, outer - inner) for outer, inner in zip(canvas.size, digit.size, strict=True)]
    canvas.paste(digit, tuple(int(rng.integers(free + 1)) for free in room))
    return canvas.reduce(_PRINTED_OVERSAMPLING)


def _rotated(character: str, typeface: str, height: float, angle: float) -> Image.Image:
    """The inked box of the rotated digit, oversampled, never larger than the frame."""
    glyph = _printed_glyph(character, typeface)
    scale = height * _PRINTED_OVERSAMPLING / glyph.height
    size = (max(1, round(glyph.width * scale)), round(glyph.height * scale))
    turned = glyph.resize(size, Image.Resampling.BILINEAR).rotate(
        angle, Image.Resampling.BILINEAR, expand=True
    )
    digit = turned.crop(turned.getbbox())
    limit = SIZE * _PRINTED_OVERSAMPLING
    if max(digit.size) > limit:
        digit.thumbnail((limit, limit))
    return digit


@functools.cache
def _printed_glyph(character: str, typeface: str) -> Image.Image:
    return draw_glyph(character, typeface, int(_PRINTED_HEIGHTS[1]) * _PRINTED_OVERSAMPLING)


def render_small(index: int, rotate: bool) -> Image.Image:
    """Image `index` of SHIFT: the digit somewhere where it fits. Of ROTATE, if `rotate`: half of
    the digits are turned as well."""
    rng = np.random.default_rng([SEED, index])
    glyph = _small_glyph(str(index % 10))
    image = Image.new("L", (SIZE, SIZE))
    image.paste(glyph, (int(rng.integers(SIZE - glyph.width + 1)), 0))
    if rotate and rng.random() < 0.5:
        angle = rng.uniform(-_SMALL_MAX_ANGLE, _SMALL_MAX_ANGLE)
        image = image.rotate(angle, Image.Resampling.BILINEAR, center=(SIZE / 2, SIZE / 2))
    return image


@functools.cache
def _small_glyph(character: str) -> Image.Image:
    large = draw_glyph(character, _SMALL_TYPEFACE, SIZE * _SMALL_OVERSAMPLING)
    width = round(large.width * SIZE / large.height)
    return large.resize((width, SIZE), Image.Resampling.BOX)


def draw_glyph(character: str, typeface: str, height: int) -> Image.Image:
    """The box of `character` that holds ink: white on black, grey, `height` pixels high."""
    path = str(typeface_path(typeface))
    box = ImageFont.truetype(path, 1000).getbbox(character)
    font = ImageFont.truetype(path, 1000 * height / (box[3] - box[1]))
    left, top, right, bottom = font.getbbox(character)
    image = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(image).text((1 - left, 1 - top), character, font=font, fill=255)
    return image.crop(image.getbbox())


def typeface_path(typeface: str) -> Path:
    """The font file of, for example, "STIXGeneral", which has a free licence."""
    import matplotlib  # here, where a command has seen to MPLBACKEND

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{typeface}.ttf"
