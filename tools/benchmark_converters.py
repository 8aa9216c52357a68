"""Times a converter on a large archive made from a small real one, and watches its memory.

    python -m tools.benchmark_converters --converter=lsun --source=LMDB --count=50000 --work_dir=NEW
    python -m tools.benchmark_converters --converter=hwdb --source=GNT_FOLDER --count=1000000 ...

Each round converts with one process and with two; `bare` is what decoding and resizing with Pillow
alone reaches in as many processes (photographs only). Rates count the whole command, its start
included; memory is the largest sum, over all its processes, of the proportional set size.
"""

import io
import itertools
import multiprocessing
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import lmdb
from absl import flags
from PIL import Image

from lsgan_tf.datasets import manifest
from lsgan_tf.utils import command_line
from tools import _large_archives, _watched
from tools.sources import lmdb_source

_CONVERTER = flags.DEFINE_enum("converter", None, ["lsun", "hwdb"], "Which.", required=True)
_SOURCE = flags.DEFINE_string("source", None, "A small real LMDB or GNT folder.", required=True)
_COUNT = flags.DEFINE_integer("count", 50_000, "How many images to convert.", 1)
_ROUNDS = flags.DEFINE_integer("rounds", 1, "How often to time each.", 1)
_WORK_DIR = flags.DEFINE_string(
    "work_dir", None, "For the archive, which is kept for the next time.", required=True
)
_BARE_PICTURES = 4000
_PROCESSES = (1, 2)


def main():
    work = Path(_WORK_DIR.value)
    archive = _archive(work)
    rates = {}
    for _ in range(_ROUNDS.value):
        for processes in _PROCESSES:
            if _CONVERTER.value == "lsun":
                rate = _bare(archive, processes)
                rates.setdefault(("bare", processes), []).append(rate)
                print(f"bare processes={processes} images_per_second={rate:.0f}", flush=True)
            rate, memory, size = _converted(archive, work / "converted", processes)
            rates.setdefault(("convert", processes), []).append(rate)
            print(
                f"convert processes={processes} images_per_second={rate:.0f} "
                f"peak_memory_mb={memory / 1e6:.0f} bytes_per_image={size:.0f}",
                flush=True,
            )
    _report(rates)


def _report(rates):
    median = {key: statistics.median(values) for key, values in rates.items()}
    print(f"two processes / one: {median['convert', 2] / median['convert', 1]:.2f}")
    for processes in _PROCESSES:
        if ("bare", processes) in median:
            share = median["convert", processes] / median["bare", processes]
            print(f"share of bare, processes={processes}: {share:.0%}")


def _archive(work: Path) -> Path:
    """The large archive in `work`, made now unless an earlier call has."""
    path = work / f"{_CONVERTER.value}_{_COUNT.value}"
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        work.mkdir(parents=True, exist_ok=True)
        source = Path(_SOURCE.value)
        if _CONVERTER.value == "lsun":
            file = lmdb_source.data_file(source)
            _large_archives.lsun(file, unfinished, _COUNT.value, multiprocessing.cpu_count())
        else:
            _large_archives.hwdb(sorted(source.rglob("*.gnt")), unfinished, _COUNT.value)
        unfinished.rename(path)
    return path


def _converted(archive: Path, target: Path, processes: int) -> tuple[float, int, float]:
    """Images per second, peak bytes of memory, bytes on disk per image."""
    shutil.rmtree(target, ignore_errors=True)
    source = "--lmdb_dir" if _CONVERTER.value == "lsun" else "--source"
    arguments = [f"{source}={archive}", f"--output_dir={target}", f"--processes={processes}"]
    ended = _watched.run([sys.executable, "-m", f"tools.convert_{_CONVERTER.value}", *arguments])
    if ended.status:
        sys.exit(f"the conversion failed with status {ended.status}: {arguments}")
    shards = manifest.load(target).shards
    count = sum(shard.count for shard in shards)
    size = sum(shard.bytes for shard in shards)
    return count / ended.seconds, ended.peak_memory, size / count


def _bare(archive: Path, processes: int) -> float:
    """Photographs per second that so many processes decode and resize with nothing around it."""
    barrier = multiprocessing.Barrier(processes + 1)
    workers = [
        multiprocessing.Process(target=_decode_and_resize, args=(archive, number, barrier.wait))
        for number in range(processes)
    ]
    for worker in workers:
        worker.start()
    barrier.wait()
    begin = time.perf_counter()
    for worker in workers:
        worker.join()
    return processes * _BARE_PICTURES / (time.perf_counter() - begin)


def _decode_and_resize(archive: Path, number: int, start: Callable[[], None]) -> None:
    with (
        lmdb.open(str(archive), readonly=True, lock=False) as environment,
        environment.begin() as transaction,
        transaction.cursor() as cursor,
    ):
        first = number * _BARE_PICTURES
        entries = itertools.islice(cursor, first, first + _BARE_PICTURES)
        # If the archive is smaller than that, its beginning serves every process.
        values = [value for _, value in entries] or _first_values(cursor)
    start()
    for place in range(_BARE_PICTURES):
        with Image.open(io.BytesIO(values[place % len(values)])) as image:
            image.convert("RGB").resize((112, 112), Image.Resampling.BILINEAR)


def _first_values(cursor: lmdb.Cursor) -> list[bytes]:
    cursor.first()
    return [value for _, value in itertools.islice(cursor, _BARE_PICTURES)]


if __name__ == "__main__":
    command_line.run(main)
