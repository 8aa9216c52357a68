"""Damaged sources of `convert_images`: refused, or what comes out was in them and the rest is told.

python -m pytest -m stress tests/stress/test_hostile_sources.py
"""

import bz2
import gzip
import io
import lzma
import os
import random
import tarfile
import zipfile

import numpy as np
import pytest

from lsgan_tf.datasets import pictures
from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tools.sources import any_source, archives, arrays, parquet_source, tar_source
from tools.sources.image_sources import Choices

pytestmark = pytest.mark.stress

TRIES = int(os.environ.get("LSGAN_STRESS_TRIES", "500"))  # of each kind
COUNT = 12
PICTURES = [making.picture(number)[..., 0] for number in range(COUNT)]
PNGS = {f"{'ab'[number % 2]}/{number}.png": making.png(PICTURES[number]) for number in range(COUNT)}


def tar():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in PNGS.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def a_zip(names=PNGS):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, PNGS[name], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def saved(save, **contents):
    buffer = io.BytesIO()
    save(buffer, **contents)
    return buffer.getvalue()


def parquet():
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table({"image": list(PNGS.values()), "label": [0, 1] * (COUNT // 2)})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, row_group_size=5)
    return buffer.getvalue()


def idx(dimensions):
    values = np.stack(PICTURES) if dimensions == 3 else np.arange(COUNT, dtype=np.uint8)
    return bytes([0, 0, 8, dimensions]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()


def cifar():
    rng = np.random.default_rng(0)
    return b"".join(bytes([n % 10]) + rng.bytes(3072) for n in range(COUNT))


SHARED = {"batches.meta.txt": b"\n".join(b"class%d" % number for number in range(10))}
# What is damaged, what is beside it, and whether its pictures are files with checksums.
KINDS = {
    "a.tar": (tar, {}, True),
    "a.tar.gz": (lambda: gzip.compress(tar(), 1), {}, True),
    "a.tar.bz2": (lambda: bz2.compress(tar()), {}, True),
    "a.tar.xz": (lambda: lzma.compress(tar(), preset=1), {}, True),
    "a.zip": (a_zip, {}, True),
    "zips/a.zip": (lambda: a_zip(list(PNGS)[::2]), {"zips/b.zip": a_zip(list(PNGS)[1::2])}, True),
    "a.parquet": (parquet, {}, True),
    "a.npz": (lambda: saved(np.savez, images=np.stack(PICTURES), labels=[0, 1] * 6), {}, False),
    "a.npy": (lambda: saved(np.save, arr=np.stack(PICTURES)), {}, False),
    "idx/train-images-idx3-ubyte": (
        lambda: idx(3), {"idx/train-labels-idx1-ubyte": idx(1)}, False
    ),
    "gz/train-images-idx3-ubyte.gz": (
        lambda: gzip.compress(idx(3)), {"gz/train-labels-idx1-ubyte": idx(1)}, True
    ),
    "cifar/data_batch_1.bin": (
        cifar, {"cifar/batches.meta.txt": SHARED["batches.meta.txt"]}, False
    ),
}  # fmt: skip


def damaged(whole, rng):
    """Some bytes changed, at the start or anywhere; a piece cut out, or the end; or junk added."""
    data = bytearray(whole)
    start, length = rng.randrange(len(data)), rng.randrange(1, 2000)
    match rng.choice(["bytes", "bytes", "head", "cut", "cut out", "added", "doubled"]):
        case "bytes":
            for _ in range(rng.choice([1, 4, 16])):
                data[rng.randrange(len(data))] = rng.randrange(256)
        case "head":
            for _ in range(rng.choice([1, 4])):
                data[rng.randrange(min(len(data), 600))] = rng.choice([0, 1, 255, 127])
        case "cut":
            del data[start:]
        case "cut out":
            del data[start : start + length]
        case "added":
            data[start:start] = rng.randbytes(length)
        case "doubled":
            data[start:start] = data[start : start + length]
    return bytes(data)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_sources(kind, tmp_path, capsys, tally):
    make, beside, checked = KINDS[kind]
    path = tmp_path / kind
    path.parent.mkdir(exist_ok=True)
    for name, data in beside.items():
        (tmp_path / name).write_bytes(data)
    source = path.parent if beside else path
    whole, rng = make(), random.Random(kind)
    path.write_bytes(whole)
    sound, _ = read(source)
    assert len(sound) == COUNT
    for _ in range(TRIES):
        path.write_bytes(damaged(whole, rng))
        tally["sources"] += 1
        capsys.readouterr()
        try:
            found, ignored = read(source)
        except UserError:
            tally["refused"] += 1
            continue
        good = [image for image in found if not isinstance(image, pictures.BadImage)]
        tally["with bad pictures"] += len(good) < len(found)
        if checked:
            assert set(good) <= set(sound), "something came out that was not in the source"
        told = ignored or "warning: " in capsys.readouterr().err
        assert len(found) >= COUNT or told, "pictures are lost without a word"


def read(source):
    """The pixels of each picture, or what is wrong with it; how many files are ignored."""
    for cache in (
        archives._open_once, arrays._rows, parquet_source._rows, tar_source._listed_once,
        tar_source._stream,
    ):  # fmt: skip
        cache.cache_clear()  # by path, which must not change within a conversion
    listing = any_source.open_source(source, "--source", Choices())
    found = []
    for one in (listing, *listing.more.values()):
        for _, image in one.reader.read(one.entries):
            bad = isinstance(image, pictures.BadImage)
            found.append(image if bad else np.asarray(image).tobytes())
    return found, listing.ignored
