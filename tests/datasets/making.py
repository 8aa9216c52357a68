"""Small data sets with pixels that can be told apart, and a slow conversion to be killed."""

import dataclasses
import io
import json
import multiprocessing
import os
import pickle
import struct
import sys
import time
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from lsgan_tf.datasets import process_pool, shards, writer

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


def bomb(side):
    """A PNG of a few bytes that declares side x side pixels."""
    small = png(picture(0))
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]


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


def change_json(path, change):
    """Calls `change` with the values in a JSON file and stores what it makes of them."""
    values = json.loads(path.read_bytes())
    change(values)
    path.write_text(json.dumps(values))


def change_bytes(path, change):
    """Replaces a file's content by what `change` makes of it, in place or as a result."""
    data = bytearray(path.read_bytes())
    changed = change(data)
    path.write_bytes(data if changed is None else changed)
    return path


def flip(path, *offsets):
    """Inverts one bit of each of the bytes at these offsets."""

    def change(data):
        for offset in offsets:
            data[offset] ^= 0x10

    return change_bytes(path, change)


def offsets(directory, file):
    """The offsets of a shard's records, and its size, from its index."""
    return np.fromfile(shards.index_path(directory, file), "<u8").astype(int)


def run_without_pool(monkeypatch):
    """Lets conversions by one process run in this one: a pool takes a second to start."""
    run = process_pool.run

    def run_here(tasks, processes, bar):
        if processes > 1:
            yield from run(tasks, processes, bar)
        while tasks:
            function, arguments = pickle.loads(pickle.dumps(tasks.pop(0)))  # as a pool does
            yield function(*arguments)

    monkeypatch.setattr(process_pool, "run", run_here)
    monkeypatch.setattr(process_pool, "_done", multiprocessing.Value("q"))
    monkeypatch.setattr(process_pool, "_stop", multiprocessing.Value("b", lock=False))


if __name__ == "__main__":
    writer.write(Path(sys.argv[1]), slow_plan(), processes=2, max_bad=2)
