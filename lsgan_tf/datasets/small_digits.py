"""`digits_shift` and `digits_rotate`: the paper's data sets with small variability, rendered anew.

After the PAMI 2019 paper and the files its authors published: one Times-like typeface, one size,
digits 28 pixels high in 28x28 images, 1000 images per class; shifted horizontally, or shifted and
rotated.
"""

import functools
from collections.abc import Iterator

import numpy as np
from PIL import Image

from lsgan_tf.datasets import glyphs, writer
from lsgan_tf.utils import images

SHIFT, ROTATE = "digits_shift", "digits_rotate"
SIZE = 28  # pixels: of the image, and the height of every digit
PER_CLASS = 1000
TYPEFACE = "STIXGeneral"
SEED = 2017

_MAX_ANGLE = 10.0  # degrees, both ways
_OVERSAMPLING = 8


def plan(name: str) -> writer.Plan:
    """How to write SHIFT or ROTATE: 10,000 labelled 28x28 grey images, white ink on black.

    Image i shows digit i % 10; everything else about it is drawn from (SEED, i).
    """
    count = 10 * PER_CLASS
    return writer.Plan(
        image_shape=(SIZE, SIZE, 1),
        encoding="png",
        class_names=tuple("0123456789"),
        source=f"digits rendered in {TYPEFACE}",
        source_identity=glyphs.typefaces_identity((TYPEFACE,)),
        tool="lsgan_tf.datasets.embedded",
        flags={"name": name, "count": count, "seed": SEED},
        jobs=[
            writer.ShardJob(_produce, (start, stop, name == ROTATE), stop - start)
            for start, stop in writer.shard_bounds(count)
        ],
    )


def render(index: int, rotate: bool) -> Image.Image:
    """Image `index`: the digit somewhere where it fits; if `rotate`, half of them are turned."""
    rng = np.random.default_rng([SEED, index])
    glyph = _glyph(str(index % 10))
    image = Image.new("L", (SIZE, SIZE))
    image.paste(glyph, (int(rng.integers(SIZE - glyph.width + 1)), 0))
    if rotate and rng.random() < 0.5:
        angle = rng.uniform(-_MAX_ANGLE, _MAX_ANGLE)
        image = image.rotate(angle, Image.Resampling.BILINEAR, center=(SIZE / 2, SIZE / 2))
    return image


@functools.cache
def _glyph(character: str) -> Image.Image:
    large = glyphs.inked(character, TYPEFACE, SIZE * _OVERSAMPLING)
    width = round(large.width * SIZE / large.height)
    return large.resize((width, SIZE), Image.Resampling.BOX)


def _produce(start: int, stop: int, rotate: bool) -> Iterator[writer.Record]:
    for index in range(start, stop):
        pixels = np.asarray(render(index, rotate))[..., np.newaxis]
        yield writer.Record(images.encode_png(pixels), label=index % 10)
