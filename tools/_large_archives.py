"""Makes archives of any size from small real ones, to time and to break converters on."""

import hashlib
import io
import itertools
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import lmdb
import numpy as np
import tqdm
from PIL import Image, ImageOps

_PICTURES_PER_TASK = 256
_FILES_PER_WRITER = 32


def lsun(source: Path, target: Path, count: int, processes: int) -> None:
    """Writes an LMDB of `count` photographs: those of a real one, cropped, turned, encoded anew.

    Args:
        source: the data.mdb of a real LMDB.
        target: the new LMDB's directory.
        count: how many.
        processes: worker processes.
    """
    with (
        lmdb.open(str(source), subdir=False, readonly=True, lock=False) as environment,
        environment.begin() as transaction,
    ):
        originals = [value for _, value in transaction.cursor()]
    starts = range(0, count, _PICTURES_PER_TASK)
    ranges = [range(start, min(start + _PICTURES_PER_TASK, count)) for start in starts]
    with (
        lmdb.open(str(target), map_size=count * (1 << 17) + (1 << 26)) as environment,
        ProcessPoolExecutor(processes) as pool,
        tqdm.tqdm(total=count, unit="image", desc="making an LMDB") as bar,
    ):
        made = pool.map(_perturbed, itertools.repeat(originals), ranges)
        for numbers, values in zip(ranges, made, strict=True):
            with environment.begin(write=True) as transaction:
                for number, value in zip(numbers, values, strict=True):
                    transaction.put(hashlib.sha1(str(number).encode()).hexdigest().encode(), value)
            bar.update(len(numbers))


def _perturbed(originals: list[bytes], numbers: range) -> list[bytes]:
    values = []
    for number in numbers:
        chance = np.random.default_rng(number)
        with Image.open(io.BytesIO(originals[number % len(originals)])) as image:
            left, top, right, bottom = chance.integers(0, 9, 4)
            image = image.crop((left, top, image.width - right, image.height - bottom))
        if chance.random() < 0.5:
            image = ImageOps.mirror(image)
        buffer = io.BytesIO()
        image.save(buffer, "webp", quality=75, method=0)
        values.append(buffer.getvalue())
    return values


def hwdb(sources: list[Path], target: Path, count: int) -> None:
    """Writes .gnt files with at least `count` characters: real files, one after the other.

    Args:
        sources: real .gnt files, all of which are sound.
        target: the new directory.
        count: how many.
    """
    target.mkdir(parents=True)
    contents = [source.read_bytes() for source in sources]
    endless = itertools.cycle(zip(contents, map(_characters, contents), strict=True))
    written = 0
    for writer in itertools.count():
        if written >= count:
            break
        parts = list(itertools.islice(endless, _FILES_PER_WRITER))
        (target / f"{writer:05}.gnt").write_bytes(b"".join(data for data, _ in parts))
        written += sum(characters for _, characters in parts)


def _characters(data: bytes) -> int:
    return sum(1 for _ in _headers(data))


def _headers(data: bytes) -> Iterator[int]:
    offset = 0
    while offset < len(data):
        yield offset
        offset += int.from_bytes(data[offset : offset + 4], "little")
