"""`printed_digits`: 60,000 rendered digits in fifteen typefaces, the data set of a first run."""

import functools
from collections.abc import Iterator

import numpy as np
from PIL import Image

from lsgan_tf.datasets import glyphs, writer
from lsgan_tf.utils import images

NAME = "printed_digits"
COUNT = 60_000
SIZE = 28  # pixels
SEED = 2017
TYPEFACES = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique",
    "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic",
    "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
    "cmr10", "cmb10", "cmss10", "cmtt10", "cmti10",
)  # fmt: skip

_HEIGHTS = (17.0, 22.0)  # of the digit, pixels
_MAX_ANGLE = 15.0  # degrees, both ways
_OVERSAMPLING = 4


def plan(count: int = COUNT) -> writer.Plan:
    """How to write the set: `count` labelled 28x28 grey images, white ink on black.

    Image i shows digit i % 10; everything else about it is drawn from (SEED, i), so that the set
    does not depend on how it is cut into shards.
    """
    return writer.Plan(
        image_shape=(SIZE, SIZE, 1),
        encoding="png",
        class_names=tuple("0123456789"),
        source="digits rendered from the typefaces in matplotlib",
        source_identity=glyphs.typefaces_identity(TYPEFACES),
        tool="lsgan_tf.datasets.embedded",
        flags={"name": NAME, "count": count, "seed": SEED},
        jobs=[
            writer.ShardJob(_produce, (start, stop), stop - start)
            for start, stop in writer.shard_bounds(count)
        ],
    )


def render(index: int) -> Image.Image:
    """Image `index` of the set: its typeface, height, angle and place are random."""
    rng = np.random.default_rng([SEED, index])
    typeface = TYPEFACES[rng.integers(len(TYPEFACES))]
    height = rng.uniform(*_HEIGHTS)
    angle = rng.uniform(-_MAX_ANGLE, _MAX_ANGLE)
    digit = _rotated(str(index % 10), typeface, height, angle)
    canvas = Image.new("L", (SIZE * _OVERSAMPLING,) * 2)
    room = [max(0, outer - inner) for outer, inner in zip(canvas.size, digit.size, strict=True)]
    canvas.paste(digit, tuple(int(rng.integers(free + 1)) for free in room))
    return canvas.reduce(_OVERSAMPLING)


def _rotated(character: str, typeface: str, height: float, angle: float) -> Image.Image:
    """The inked box of the rotated digit, oversampled, never larger than the frame."""
    glyph = _glyph(character, typeface)
    scale = height * _OVERSAMPLING / glyph.height
    size = (max(1, round(glyph.width * scale)), round(glyph.height * scale))
    turned = glyph.resize(size, Image.Resampling.BILINEAR).rotate(
        angle, Image.Resampling.BILINEAR, expand=True
    )
    digit = turned.crop(turned.getbbox())
    limit = SIZE * _OVERSAMPLING
    if max(digit.size) > limit:
        digit.thumbnail((limit, limit))
    return digit


@functools.cache
def _glyph(character: str, typeface: str) -> Image.Image:
    return glyphs.inked(character, typeface, height=int(_HEIGHTS[1]) * _OVERSAMPLING)


def _produce(start: int, stop: int) -> Iterator[writer.Record]:
    for index in range(start, stop):
        pixels = np.asarray(render(index))[..., np.newaxis]
        yield writer.Record(images.encode_png(pixels), label=index % 10)
