"""Fuzzes `convert_hwdb`: batches of mutated GNT files, each converted as a folder of writers."""

import functools
import random
import re
import shutil
import struct
from collections import defaultdict
from pathlib import Path

from PIL import Image

from lsgan_tf.utils.errors import UserError
from tools.fuzzing import batches, converted_set, gnt_mutations, gnt_oracle
from tools.fuzzing.gnt_oracle import Expected, Picture

_SIDE = 28
_RECORDS = (6, 12)  # of a file, at least and at most
_RECORDS_OF_LONG = (260, 600)  # of some: what a worker begins to read in the middle
_LONG_EVERY = 97
_MANY = 1 << 30  # for --max_bad
_WHERE = re.compile(r"(.+), offset (\d+)")


def records_of(source: Path) -> list[list[bytes]]:
    """The records of each .gnt file in a folder, all of which must be sound."""
    files = []
    for path in sorted(source.rglob("*.gnt")):
        data, records, offset = path.read_bytes(), [], 0
        while offset < len(data):
            size = struct.unpack_from("<I", data, offset)[0]
            records.append(data[offset : offset + size])
            offset += max(size, 1)
        expected = gnt_oracle.expect(records)
        if expected is None or expected.losses or len(records) < _RECORDS[1]:
            raise UserError(f"{path} is damaged, or has less than {_RECORDS[1]} records")
        files.append(records)
    if not files:
        raise UserError(f"--gnt_source={source}: there are no .gnt files in it")
    return files


def fuzz(
    originals: list[list[bytes]],
    batch: int,
    count: int,
    seed: int,
    work: Path,
    limits: batches.Limits,
    report: batches.Report,
) -> None:
    """Makes, converts and checks one batch of `count` files, and one that is no GNT file.

    The input of what fails is kept in `work`.
    """
    rng = random.Random(f"{seed} gnt {batch}")
    folder = work / f"gnt-{batch:04}"
    source = folder / "source"
    source.mkdir(parents=True)
    expected = {}
    for number in range(count):
        kind, stretches, its = _mutated(rng, originals, number)
        name = f"{number:05}_{kind}"
        expected[name] = its
        (source / f"{name}.gnt").write_bytes(b"".join(stretches))
        report.tally(kind).inputs += 1
    failures = len(report.failures)
    flags = [f"--source={source}", f"--max_bad={_MANY}", f"--image_size={_SIDE}", "--processes=2"]
    ended = batches.convert("convert_hwdb", flags, folder, limits, report)
    if ended is not None:
        status, said = ended
        if status:
            report.fail(folder.name, f"it refused the files; see {folder / 'log'}: {said[-300:]}")
        else:
            _check(folder, expected, report)
    _no_gnt(rng, originals, work / f"gnt-{batch:04}-none", limits, report)
    if len(report.failures) == failures:
        shutil.rmtree(folder)
    else:
        shutil.rmtree(folder / "set", ignore_errors=True)


def _mutated(
    rng: random.Random, originals: list[list[bytes]], number: int
) -> tuple[str, list[bytes], Expected]:
    kinds = list(gnt_mutations.MUTATIONS)
    kind = kinds[number % len(kinds)]
    while True:  # until it can be said what must come out, and something must
        whole = rng.choice(originals)
        if number % _LONG_EVERY == _LONG_EVERY - 1:
            records = rng.choices(whole, k=rng.randint(*_RECORDS_OF_LONG))
        else:
            length = rng.randint(*_RECORDS)
            first = rng.randrange(len(whole) - length + 1)
            records = whole[first : first + length]
        stretches = gnt_mutations.MUTATIONS[kind](rng, records)
        expected = gnt_oracle.expect(stretches)
        # A file of which nothing can be read ends the conversion, see _no_gnt.
        if expected and (not stretches or any(picture.certain for picture in expected.pictures)):
            return kind, stretches, expected


def _check(folder: Path, expected: dict[str, Expected], report: batches.Report) -> None:
    contents = converted_set.manifest(folder / "set")
    names, writers = contents["class_names"], contents["extra_features"]["writer"]
    pictures, offsets = defaultdict(list), defaultdict(list)
    for item in converted_set.items(folder / "set", contents):
        pictures[writers[item.values["writer"]]].append((names[item.values["label"]], item.pixels))
    for skip in contents["skipped"]:
        name, offset = _WHERE.fullmatch(skip["where"]).groups()
        offsets[name.removesuffix(".gnt")].append(int(offset))
    if len(contents["skipped"]) != contents["skipped_count"]:
        report.fail(folder.name, f"{contents['skipped_count']} skipped, not all are listed")
    left_out = sum(contents["left_out"].values())
    least, most = (sum(its.left_out[end] for its in expected.values()) for end in (0, 1))
    if not least <= left_out <= most:
        report.fail(folder.name, f"{left_out} symbols are left out, not {least} to {most}")
    for name in sorted(expected.keys() | pictures.keys() | offsets.keys()):
        what = differs(expected.get(name), pictures[name], offsets[name])
        if what:
            path = f"{folder / 'source' / name}.gnt"
            report.fail(path, f"{what} (reported offsets: {offsets[name]})")
        tally = report.tally(name.partition("_")[2])
        tally.kept += len(pictures[name])
        tally.reported += len(offsets[name])


def differs(expected: Expected, found: list[tuple[str, bytes]], offsets: list[int]) -> str | None:
    """What is wrong with what became of one file; None if nothing is.

    Args:
        expected: what must become of it.
        found: (character, pixels) of the pictures in the data set, in order.
        offsets: that were reported, in order.
    """
    places = {0}  # in `found`, where the pictures so far may end
    for number, picture in enumerate(expected.pictures):
        wanted = (picture.text, _pixels(picture))
        taken = {place + 1 for place in places if found[place : place + 1] == [wanted]}
        if picture.certain and not taken:
            return f"picture {number} of {len(expected.pictures)} did not come out: {picture.text}"
        places = taken if picture.certain else taken | places
    if len(found) not in places:
        return f"{len(found)} pictures came out, {sorted(places)} were expected"
    for loss in expected.losses:
        count = sum(loss.start <= offset < loss.stop for offset in offsets)
        if not 1 <= count <= loss.most:
            return f"{count} reports in {loss}"
    for offset in offsets:
        if not any(loss.start <= offset < loss.stop for loss in expected.losses):
            return f"offset {offset} is reported, but sound"
    return None


@functools.lru_cache(1 << 14)
def _pixels(picture: Picture) -> bytes:
    image = Image.frombytes("L", (picture.width, picture.height), picture.bitmap)
    return image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR).tobytes()


def _no_gnt(
    rng: random.Random,
    originals: list[list[bytes]],
    folder: Path,
    limits: batches.Limits,
    report: batches.Report,
) -> None:
    """A file of which nothing can be read, alone or beside a sound one, is refused by name."""
    source = folder / "source"
    source.mkdir(parents=True)
    whole = rng.choice(originals)
    (source / "bad.gnt").write_bytes(gnt_mutations.no_gnt(rng, whole))
    if rng.random() < 0.5:
        (source / "good.gnt").write_bytes(whole[0])
    failures = len(report.failures)
    flags = [f"--source={source}", f"--max_bad={_MANY}", "--processes=2"]
    ended = batches.convert("convert_hwdb", flags, folder, limits, report)
    if ended is not None:
        status, said = ended
        told = f"error: {source / 'bad.gnt'} is not a GNT file: no record in it can be read"
        if status != 1 or told not in said or (folder / "set" / "manifest.json").exists():
            report.fail(folder.name, f"status {status}, it said {said[-300:]}")
    report.outcomes["files of which nothing can be read, refused by name"] += 1
    if len(report.failures) == failures:
        shutil.rmtree(folder)
