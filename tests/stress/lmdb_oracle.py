"""What must become of the values of an LMDB: what Pillow makes of them, or a report."""

import functools
import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from lsgan_tf.datasets import picture_content, pictures
from tests.stress import converted_set
from tests.stress.lmdb_strategies import Value

SIDE = 32  # of the converted pictures, pixels

_WHERE = re.compile(r"(.+), entry (\d+), key ([0-9a-f]+)")


@functools.lru_cache(64)
def pixels(value: bytes) -> bytes | None:
    """What Pillow makes of a value, on white and resized; None if it is no usable picture."""
    made = _pixels(value)
    if made is None and (bare := picture_content.without_metadata(value, 0)):
        return _pixels(bare.data)
    return made


def _pixels(value: bytes) -> bytes | None:
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(value)) as image:
            if image.format not in ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"):
                return None
            if image.width * image.height > pictures.MAX_PIXELS:
                return None
            whole = ImageOps.exif_transpose(image)
            if image.mode == "I" and image.format == "PPM":  # whose values are scaled to 16 bits
                whole = Image.fromarray((np.asarray(whole) >> 8).astype(np.uint8))
            elif image.mode in ("I", "F"):  # have no known range
                return None
            if whole.has_transparency_data:
                rgba = whole.convert("RGBA")
                whole = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
            square = whole.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            return square.tobytes()
    except Exception:  # damaged files raise nearly anything in Pillow's plugins
        return None


def check(made: dict[bytes, Value], source: Path, target: Path) -> int:
    """Compares the data set at `target` with what must have become of the LMDB at `source`.

    Args:
        made: the LMDB's values by key.

    Returns:
        How many pictures are in the data set.
    """
    contents = converted_set.manifest(target)
    kept = iter([item.pixels for item in converted_set.items(target, contents)])
    keys = sorted(made)
    reported = _reported_keys(contents["skipped"], keys, source)
    assert len(reported) == len(contents["skipped"]) == contents["skipped_count"]
    for key in keys:
        value = made[key]
        expected = pixels(value.decoded_as)
        if key in reported:
            assert expected is None, f"{key}, {value.damage}: it is reported, but is a picture"
            continue
        found = next(kept, None)
        assert found is not None, f"{key}, {value.damage}: it neither came out nor is reported"
        assert expected is not None, f"{key}, {value.damage}: it came out, but is no picture"
        assert found == expected, f"{key}, {value.damage}: it has other pixels"
    assert next(kept, None) is None, "more pictures came out than there are values"
    return len(keys) - len(reported)


def _reported_keys(skipped: Sequence[dict], keys: Sequence[bytes], source: Path) -> set[bytes]:
    reported = set()
    for skip in skipped:
        path, number, key = _WHERE.fullmatch(skip["where"]).groups()
        right = (str(source), keys[int(number)])
        assert (path, key.encode()) == right, f"there is no {skip['where']}"
        reported.add(key.encode())
    return reported
