"""Small data sets with pixels that can be told apart, and a slow conversion to be killed."""

import dataclasses
import io
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from lsgan_tf.datasets import writer

CLASS_NAMES = ("even", "odd")


def picture(number, size=8, channels=1):
    """uint8 [size, size, channels]: noise that belongs to `number`, with both extremes in it."""
    pixels = np.random.default_rng(number).integers(0, 256, (size, size, channels), np.uint8)
    pixels[0, 0], pixels[0, 1] = 0, 255
    # The number can be read off the picture.
    pixels[1, 0], pixels[1, 1] = number % 256, number // 256
    return pixels


def numbers_of(images):
    """The numbers of a batch of pictures in 0..255."""
    images = np.rint(np.asarray(images)).astype(int)
    return (images[:, 1, 0, 0] + 256 * images[:, 1, 1, 0]).tolist()


def png(pixels):
    """Encodes uint8 [H, W], [H, W, 1] or [H, W, 3]."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels).save(buffer, "png")
    return buffer.getvalue()


def produce(start, stop, channels=1, labelled=True, bad=(), seconds=0.0, name="picture "):
    for number in range(start, stop):
        time.sleep(seconds)
        if number in bad:
            yield writer.Skipped(f"{name}{number}", "it is bad")
            continue
        label = number % 2 if labelled else None
        yield writer.Record(png(picture(number, channels=channels)), label)


def die(start, stop, of):
    yield from produce(start, stop - 1)
    os.kill(os.getpid(), of)


def produce_by_hand(start, stop):
    """Records with a further feature, the hand that drew them."""
    for record in produce(start, stop):
        yield dataclasses.replace(record, extra={"hand": record.label})


def plan(
    count, shards=2, channels=1, labelled=True, source="test", identity="test",
    bad=(), seconds=0.0, name="picture ",
):  # fmt: skip
    bounds = [count * number // shards for number in range(shards + 1)]
    return writer.Plan(
        image_shape=(8, 8, channels),
        encoding="png",
        class_names=CLASS_NAMES if labelled else None,
        source=source,
        source_identity=identity,
        tool="test",
        flags={"count": count},
        jobs=[
            writer.ShardJob(
                produce,
                (start, stop, channels, labelled, bad, seconds, name),
                stop - start,
            )
            for start, stop in zip(bounds[:-1], bounds[1:], strict=True)
        ],
    )


def slow_plan():
    return plan(240, shards=6, bad=(3, 100), seconds=0.008)


def contents(directory):
    """The bytes of all files of a data set by name; its lock is beside it."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def edit_manifest(directory, edit):
    """Calls `edit` with the values of a manifest and stores what it makes of them."""
    path = directory / "manifest.json"
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


if __name__ == "__main__":
    writer.write(Path(sys.argv[1]), slow_plan(), processes=2, max_bad=2)
