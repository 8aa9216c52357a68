"""Fuzzes `convert_lsun`: LMDBs with mutated values among sound ones."""

import functools
import hashlib
import io
import random
import re
import shutil
import warnings
from pathlib import Path

import lmdb
from PIL import Image, ImageOps

from lsgan_tf.datasets import pictures
from lsgan_tf.utils.errors import UserError
from tools.fuzzing import batches, converted_set, lmdb_mutations

_SIDE = 32
_SOUND_PER_BATCH = 100
_COSTLY_PER_BATCH = 3  # of each kind
_MANY = 1 << 30  # for --max_bad
_WHERE = re.compile(r"(.+), entry (\d+), key ([0-9a-f]+)")


def values_of(source: Path) -> list[bytes]:
    """The values of a sound LMDB."""
    if not (source / "data.mdb").is_file():
        raise UserError(f"--lmdb_source={source} is no folder with a data.mdb")
    with (
        lmdb.open(str(source), readonly=True, lock=False) as environment,
        environment.begin() as transaction,
        transaction.cursor() as cursor,
    ):
        return [bytes(value) for _, value in cursor]


def fuzz(
    originals: list[bytes],
    batch: int,
    count: int,
    seed: int,
    work: Path,
    limits: batches.Limits,
    report: batches.Report,
) -> None:
    """Makes, converts and checks one LMDB of `count` mutated values and some sound ones.

    The input of what fails is kept in `work`.
    """
    rng = random.Random(f"{seed} lmdb {batch}")
    folder = work / f"lmdb-{batch:04}"
    folder.mkdir(parents=True)
    made = {}  # key -> (kind, value, expected pixels)
    for number in range(count + _SOUND_PER_BATCH):
        value = rng.choice(originals)
        kind = _kind(number) if number < count else "sound"
        made[random_key(rng)] = (kind, *_mutated(rng, kind, value))
        report.tally(kind).inputs += 1
    write(folder / "source", {key: value for key, (_, value, _) in made.items()})
    failures = len(report.failures)
    flags = [f"--lmdb_dir={folder / 'source'}", f"--max_bad={_MANY}", f"--image_size={_SIDE}",
             "--processes=2"]  # fmt: skip
    ended = batches.convert("convert_lsun", flags, folder, limits, report)
    if ended is not None:
        status, said = ended
        if status:
            report.fail(folder.name, f"it refused the LMDB; see {folder / 'log'}: {said[-300:]}")
        else:
            check(folder, made, report)
    if len(report.failures) == failures:
        shutil.rmtree(folder)


def _kind(number: int) -> str:
    """Every kind in turn; the costly ones a few times, then others in their place."""
    kinds = list(lmdb_mutations.MUTATIONS.values())
    if number >= _COSTLY_PER_BATCH * len(kinds):
        kinds = [kind for kind in kinds if kind not in lmdb_mutations.COSTLY]
    return kinds[number % len(kinds)].__name__


def _mutated(rng: random.Random, kind: str, value: bytes) -> tuple[bytes, bytes | None]:
    """A value, and the pixels that must become of it; None: it must be reported."""
    if kind == "sound":
        return value, _sound_pixels(value)
    mutation = lmdb_mutations.MUTATIONS[kind]
    changed = mutation(rng, value)
    if mutation in lmdb_mutations.HOPELESS:
        return changed, None
    if mutation in lmdb_mutations.HARMLESS:
        return changed, _sound_pixels(value)
    return changed, pixels(changed)


_sound_pixels = functools.lru_cache(1 << 10)(lambda value: pixels(value))


def pixels(value: bytes) -> bytes | None:
    """What Pillow makes of a value, on black and resized; None if it refuses it."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(value)) as image:
            if image.format not in ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"):
                return None
            if image.width * image.height > pictures.MAX_PIXELS:
                return None
            whole = ImageOps.exif_transpose(image)
            if image.mode in ("I", "F"):  # have no known range
                return None
            if whole.has_transparency_data:
                rgba = whole.convert("RGBA")
                whole = Image.alpha_composite(Image.new("RGBA", rgba.size, "black"), rgba)
            square = whole.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
            return square.tobytes()
    except Exception:  # damaged files raise nearly anything in Pillow's plugins
        return None


def check(
    folder: Path, made: dict[bytes, tuple[str, bytes, bytes | None]], report: batches.Report
) -> None:
    """Compares `folder`/set, made from `folder`/source, with what must have become of it.

    Args:
        folder: keeps the values that fail.
        made: key -> (kind of mutation, value, pixels that must become of it or None).
        report: takes what is found.
    """
    contents = converted_set.manifest(folder / "set")
    found = [item.pixels for item in converted_set.items(folder / "set", contents)]
    keys = sorted(made)
    reported = set()
    for skip in contents["skipped"]:
        source, number, key = _WHERE.fullmatch(skip["where"]).groups()
        if (source, keys[int(number)]) != (str(folder / "source"), key.encode()):
            report.fail(folder.name, f"there is no {skip['where']}")
        reported.add(key.encode())
    if not len(reported) == len(contents["skipped"]) == contents["skipped_count"]:
        report.fail(folder.name, f"{contents['skipped_count']} skipped, {len(reported)} listed")
    if len(found) + len(reported) != len(keys):
        report.fail(folder.name, f"{len(keys)} keys became {len(found)} and {len(reported)}")
    pictures_in_order = iter(found)
    for key in keys:
        kind, value, expected = made[key]
        tally = report.tally(kind)
        pixels_of_key = None if key in reported else next(pictures_in_order, None)
        tally.reported += key in reported
        tally.kept += key not in reported
        if pixels_of_key != expected:
            path = folder / f"{key.decode()}.{kind}"
            path.write_bytes(value)
            report.fail(str(path), _difference(pixels_of_key, expected))


def _difference(found: bytes | None, expected: bytes | None) -> str:
    if expected is None:
        return "it came out, but is no picture"
    return "it has other pixels" if found is not None else "it is reported, but sound"


def random_key(rng: random.Random) -> bytes:
    """40 hex digits, as LSUN has them."""
    return hashlib.sha1(rng.randbytes(8)).hexdigest().encode()


def write(directory: Path, values: dict[bytes, bytes]) -> None:
    """Writes an LMDB."""
    room = sum(map(len, values.values())) + len(values) * (1 << 13) + (1 << 22)
    with (
        lmdb.open(str(directory), map_size=room) as environment,
        environment.begin(write=True) as transaction,
    ):
        for key, value in values.items():
            transaction.put(key, value)
