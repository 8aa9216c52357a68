"""Conversions that are killed at random moments: they end with the bytes of an undisturbed one.

    python -m pytest -m stress tests/stress/test_conversion_interruptions.py

Each converter is killed (SIGKILL) ten times or LSGAN_STRESS_REPEATS, each time after a random part
of the time that the whole conversion takes, and started again. A start that ends before it is
killed is thrown away and the conversion begun anew.
"""

import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import time

import numpy as np
import psutil
import pytest

from tests.datasets import making
from tests.tools import lmdbs
from tests.tools.cat_photographs import save
from tests.tools.gnt_files import record

pytestmark = pytest.mark.stress

REPEATS = int(os.environ.get("LSGAN_STRESS_REPEATS", "10"))
_SECONDS = 120  # after which a conversion, or the end of a killed one's pool, counts as hanging


def lsun(folder):
    return f"--lmdb_dir={lmdbs.of_pictures(folder / 'lmdb', 600, size=64)}"


def hwdb(folder):
    rng = np.random.default_rng(0)
    for writer in range(8):
        ink = (rng.integers(0, 256, 40 * 50, np.uint8).tobytes() for _ in range(300))
        records = (record("啊阿埃挨"[n % 4], 40, 50, ink=each) for n, each in enumerate(ink))
        (folder / f"w{writer}.gnt").write_bytes(b"".join(records))
    return f"--source={folder}"


def cats(folder):
    for number in range(600):
        save(folder / "CAT_00", f"00000001_{number:03d}", number)
    return f"--source={folder}"


def images(folder):
    rng = np.random.default_rng(0)
    np.savez(folder / "images.npz", images=rng.integers(0, 256, (2000, 64, 64), np.uint8))
    return f"--source={folder / 'images.npz'}"


def _pngs():
    rng = np.random.default_rng(0)
    for number in range(2000):
        yield (
            f"{'ab'[number % 2]}/{number:04}.png",
            making.png(rng.integers(0, 256, (64, 64), np.uint8)),
        )


def tar(folder):
    with tarfile.open(folder / "images.tar.gz", "w:gz", compresslevel=1) as archive:
        for name, data in _pngs():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return f"--source={folder / 'images.tar.gz'}"


def parquet(folder):
    import pyarrow
    from pyarrow import parquet

    names, images = zip(*_pngs(), strict=True)
    table = pyarrow.table({"image": images, "label": [name[0] for name in names]})
    parquet.write_table(table, folder / "images.parquet", row_group_size=150)
    return f"--source={folder / 'images.parquet'}"


@pytest.mark.parametrize(
    ("converter", "make_source", "side", "flags"),
    [
        ("convert_lsun", lsun, 64, []),
        ("convert_hwdb", hwdb, 28, []),
        ("convert_cats", cats, 16, []),
        ("convert_images", images, 64, []),
        ("convert_images", tar, 64, ["--val_fraction=0.2", "--deduplicate=exact"]),
        ("convert_images", parquet, 64, []),
    ],
)
def test_a_killed_conversion_ends_with_the_same_bytes(
    converter, make_source, side, flags, tmp_path
):
    source = tmp_path / "source"
    source.mkdir()
    command = [sys.executable, "-m", f"tools.{converter}", make_source(source)]
    command += [f"--image_size={side}", "--processes=2", *flags]
    # The same name for both: it is part of the names of the shards.
    whole, killed = tmp_path / "whole" / "set", tmp_path / "killed" / "set"
    begin = time.monotonic()
    convert(command, whole)
    seconds = time.monotonic() - begin
    complete = kill_repeatedly(command, killed, seconds, random.Random(converter))
    print(f"{converter}: {seconds:.1f} s undisturbed; complete shards at each kill: {complete}")
    convert(command, killed)
    assert different_files(whole, killed) == set()


def convert(command, directory):
    line = [*command, f"--output_dir={directory}"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stderr


def kill_repeatedly(command, directory, seconds, rng):
    """Kills a conversion REPEATS times; returns how many shards were complete at each."""
    complete = []
    while len(complete) < REPEATS:
        process = psutil.Popen(
            [*command, f"--output_dir={directory}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            status = process.wait(rng.uniform(0.05, 0.95) * seconds)
        except psutil.TimeoutExpired:
            pool = process.children(recursive=True)
            process.kill()
            process.wait()
            _, alive = psutil.wait_procs(pool, timeout=_SECONDS)
            assert not alive, "the processes of the pool outlive the killed one"
            complete.append(len(list(directory.rglob("*.tfrecord*.json"))))
        else:
            assert status == 0, "the conversion failed by itself"
            shutil.rmtree(directory)
    return complete


def different_files(one, other):
    """The names of the files that differ between two directories, or that only one has."""
    first, second = (
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        for folder in (one, other)
    )
    return {name for name in first | second if first.get(name) != second.get(name)}


def test_different_files_are_found(tmp_path):
    for name, content in (("one", b"abc"), ("two", b"abd")):
        (tmp_path / name / "index").mkdir(parents=True)
        (tmp_path / name / "index" / "same").write_bytes(b"same")
        (tmp_path / name / "index" / "changed").write_bytes(content)
    (tmp_path / "two" / "more").write_bytes(b"")
    assert different_files(tmp_path / "one", tmp_path / "two") == {"index/changed", "more"}
