"""Fuzzes `convert_lsun`: LMDBs whose tree is damaged, that is, all but the values."""

import random
import re
import shutil
import struct
from pathlib import Path

from tools.fuzzing import batches, converted_set, lmdb_fuzz

_PICTURES = 150
_CONVERSIONS_PER_LINE = 25
_PAGE_BYTES = 4096
_PAGE_HEADER_BYTES = 16
_META_BYTES = _PAGE_HEADER_BYTES + 136
_BRANCH, _LEAF, _OVERFLOW = 1, 2, 4


def fuzz(
    originals: list[bytes],
    count: int,
    seed: int,
    work: Path,
    limits: batches.Limits,
    report: batches.Report,
) -> None:
    """Converts a small LMDB `count` times, each time with other bytes of its tree changed.

    It must become a data set or be refused in words.
    """
    sound = work / "pages-sound"
    rng = random.Random(f"{seed} pages")
    lmdb_fuzz.write(
        sound, {lmdb_fuzz.random_key(rng): value for value in rng.choices(originals, k=_PICTURES)}
    )
    data = (sound / "data.mdb").read_bytes()
    places = tree(data)
    for number in range(count):
        rng = random.Random(f"{seed} pages {number}")
        kind = rng.choice(list(places))
        folder = work / f"pages-{number:04}-{kind}"
        (folder / "source").mkdir(parents=True)
        changed = bytearray(data)
        for place in rng.choices(places[kind], k=rng.choice([1, 2, 8, 40])):
            changed[place] = rng.choice([0, 255, rng.randrange(256), changed[place] ^ 1])
        (folder / "source" / "data.mdb").write_bytes(changed)
        report.tally(kind).inputs += 1
        failures = len(report.failures)
        _convert(folder, kind, limits, report)
        if len(report.failures) == failures:
            shutil.rmtree(folder)
        if (number + 1) % _CONVERSIONS_PER_LINE == 0:
            print(f"lmdb pages {number + 1} of {count}: {report.summary()}", flush=True)
    shutil.rmtree(sound)


def _convert(folder: Path, kind: str, limits: batches.Limits, report: batches.Report) -> None:
    flags = [f"--lmdb_dir={folder / 'source'}", f"--max_bad={_PICTURES}", "--image_size=8",
             "--processes=2"]  # fmt: skip
    ended = batches.convert("convert_lsun", flags, folder, limits, report)
    if ended is None:
        report.outcomes["(failures)"] += 1
        return
    status, said = ended
    if status == 0:
        contents = converted_set.manifest(folder / "set")
        kept = sum(1 for _ in converted_set.items(folder / "set", contents))
        report.tally(kind).kept += kept
        report.tally(kind).reported += contents["skipped_count"]
        report.outcomes["converted"] += 1
        if kept + contents["skipped_count"] != _PICTURES:
            report.fail(folder.name, f"{kept} came out, {contents['skipped_count']} are reported")
        return
    errors = [line for line in re.split(r"[\r\n]", said) if line.startswith("error: ")]
    if len(errors) != 1 or (folder / "set" / "manifest.json").exists():
        report.fail(folder.name, f"it said {said[-300:]}")
    told = re.sub(r"\d+", "N", " ".join(errors).replace(str(folder), ""))
    report.outcomes[f"refused: {told[:100]}"] += 1


def tree(data: bytes) -> dict[str, list[int]]:
    """The offsets in a data.mdb of all bytes that are no values, by the kind of their page."""
    places: dict[str, list[int]] = {"meta": [], "branch": [], "leaf": [], "overflow": []}
    page = 0
    while page < len(data):
        number, _, flags, lower, upper = struct.unpack_from("<QHHHH", data, page)
        whole = range(page, page + _PAGE_BYTES)
        pages = 1
        if page < 2 * _PAGE_BYTES:
            places["meta"] += whole[:_META_BYTES]
        elif flags & (_BRANCH | _LEAF) and number == page // _PAGE_BYTES:
            used = [*whole[:lower], *whole[upper:]]
            places["branch" if flags & _BRANCH else "leaf"] += used
        elif flags & _OVERFLOW:
            places["overflow"] += whole[:_PAGE_HEADER_BYTES]
            pages = lower | upper << 16  # how many its value covers
        page += pages * _PAGE_BYTES
    return places
