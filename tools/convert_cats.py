"""Turns the CAT archive (Zhang, Sun and Tang, ECCV 2008) into a data set of cats' faces.

    python -m tools.convert_cats --output_dir=data/cats --exclude=setting_up_script.sh \\
        --source=CAT_DATASET_01.zip,CAT_DATASET_02.zip,00000003_015.jpg.cat

--source is a folder or a .zip with photographs NAME.jpg and their annotations NAME.jpg.cat, or one
annotation; several, separated by commas, are put together. A later annotation overrides an earlier
one of the same name: that of 00000003_015 was published anew beside the archive.

Every face is turned until the eyes are level, cut out as a square that reaches from ear to ear, and
resized to the square of --image_size, as for the cats of the PAMI paper (improved_LSGAN, `cats`);
faces smaller than that are left out. One thing is better than there: the faces are not stored as
JPEG in between. The authors also left out 134 pictures that they list by name in the folder's
setting_up_script.sh; --exclude takes that script as it is. The pictures have no labels and are in
the order of their names. A conversion that was interrupted continues when the same command is run
again.

This was tested on made pictures only: the archive itself was not at hand.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import tqdm
from absl import flags

from lsgan_tf.datasets import manifest, pictures, writer
from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError, printable
from tools import _converter_flags
from tools.sources import cat_sources
from tools.sources.cat_faces import Face
from tools.sources.cat_sources import Cat, Listing

MAX_LIST_BYTES = 1 << 20
LISTED_OVERRIDES = 5

# NAME and NAME.jpg are pictures to leave out. NAME.jpg.cat is not: the authors' script names the
# annotations it deletes, but also the one it replaces, whose picture stays.
_EXCLUDED = re.compile(r"(?<!\d)\d{8}_\d{3}(?!\d|\.jpg\.cat)", re.ASCII | re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Options:
    """How to convert; the flags of the command."""

    image_size: int = 128  # side of the square, pixels; faces smaller than this are left out
    exclude: Path | None = None  # a text that names pictures to leave out
    encoding: str = "png"  # or "jpeg"
    max_bad: int = 0
    processes: int = 1


def convert(sources: Sequence[Path], output_dir: Path, options: Options) -> manifest.Manifest:
    """Converts the faces of `sources` into a data set at `output_dir`.

    Raises:
        UserError: a source cannot be used, more than `max_bad` of its pictures or annotations
            cannot be used, or as `records.write` does.
    """
    output_dir = writer.check_target(output_dir)
    listing = cat_sources.find(sources)
    source = ", ".join(map(str, sources))
    excluded = _excluded(options.exclude, listing)
    found = _survey(listing, excluded, options.image_size)
    print(printable(f"{source}: {_describe(listing, found)}"), flush=True)
    if not any(isinstance(face, Face) for _, face in found.kept):
        _fail_without_faces(found, source)
    plan = _plan(listing, found, excluded, source, options)
    return writer.write(output_dir, plan, processes=options.processes, max_bad=options.max_bad)


def _excluded(file: Path | None, listing: Listing) -> list[str]:
    """The names of pictures to leave out, as far as there are such pictures."""
    if file is None:
        return []
    try:
        with open(file, "rb") as opened:
            data = opened.read(MAX_LIST_BYTES + 1)
    except OSError as error:
        raise UserError(f"--exclude={file} cannot be read: {error.strerror}") from error
    if len(data) > MAX_LIST_BYTES:
        raise UserError(f"--exclude={file} is larger than {MAX_LIST_BYTES} bytes, no list of names")
    listed = set(_EXCLUDED.findall(data.decode("utf-8", "replace")))
    excluded = sorted(listed & {cat.name for cat in listing.cats})
    if not excluded:
        raise UserError(
            f"--exclude={file} names {len(listed)} pictures, none of which is in the source. Names "
            "are of the form 00000003_019 or 00000003_019.jpg"
        )
    print(f"{file}: {len(listed)} names, {len(excluded)} of them in the source", flush=True)
    return excluded


_Found = tuple[Cat, Face | pictures.BadImage]


@dataclasses.dataclass(frozen=True)
class Survey:
    """What annotations and headers of pictures tell."""

    kept: list[_Found]  # sorted by name
    left_out: Counter  # what is excluded -> how much of it


def _survey(listing: Listing, excluded: Sequence[str], image_size: int) -> Survey:
    excluded = frozenset(excluded)
    found = Survey([], Counter())
    for cat in tqdm.tqdm(listing.cats, unit="image", desc="survey"):
        if cat.name in excluded:
            found.left_out["listed outliers"] += 1
            continue
        try:
            face = cat.face()
        except pictures.BadImage as bad:
            found.kept.append((cat, bad))
            continue
        if face.shorter_side < image_size:
            found.left_out[f"faces smaller than {image_size} pixels"] += 1
        else:
            found.kept.append((cat, face))
    return found


def _describe(listing: Listing, found: Survey) -> str:
    bad = sum(isinstance(face, pictures.BadImage) for _, face in found.kept)
    parts = [f"{len(listing.cats)} photographs, {len(found.kept) - bad} faces to convert"]
    parts += [f"{bad} cannot be used"] if bad else []
    parts += [f"{count} {what} are left out" for what, count in sorted(found.left_out.items())]
    if listing.strays:
        parts.append(f"{listing.strays} annotations without a photograph are ignored")
    if listing.ignored:
        parts.append(f"{listing.ignored} files of other kinds are ignored")
    more = len(listing.overridden) - LISTED_OVERRIDES
    lines = ["; ".join(parts), *listing.overridden[:LISTED_OVERRIDES]]
    return "\n  ".join(lines + [f"and {more} more"] * (more > 0))


def _fail_without_faces(found: Survey, source: str) -> None:
    left_out = [f"{count} {what}" for what, count in sorted(found.left_out.items())]
    bad = [f"{cat.picture.full_name}: {why}" for cat, why in found.kept[:1]]
    raise UserError(f"there is no face to convert in {source} ({'; '.join(left_out + bad)})")


def _plan(
    listing: Listing, found: Survey, excluded: list[str], source: str, options: Options
) -> writer.Plan:
    target = pictures.Target(options.image_size, channels=3, encoding=options.encoding)
    return writer.Plan(
        image_shape=target.shape,
        encoding=target.encoding,
        class_names=None,
        source=source,
        source_identity=listing.identity,
        tool="tools.convert_cats",
        flags=dataclasses.asdict(target) | {"excluded": excluded},
        jobs=[
            writer.ShardJob(_produce, (found.kept[start:stop], target), stop - start)
            for start, stop in writer.shard_bounds(len(found.kept))
        ],
        left_out=dict(found.left_out),
    )


def _produce(
    found: Sequence[_Found], target: pictures.Target
) -> Iterator[writer.Record | writer.Skipped]:
    for cat, face in found:
        image = face if isinstance(face, pictures.BadImage) else cat.decode()
        if isinstance(image, pictures.BadImage):
            yield writer.Skipped(cat.picture.full_name, str(image))
        else:
            yield writer.Record(target.encode(face.cut(image)))


def main() -> None:
    options = _converter_flags.options(Options, exclude=_converter_flags.path("exclude"))
    output_dir = _converter_flags.path("output_dir")
    sources = _converter_flags.split_sources(flags.FLAGS["source"].value)
    print(printable(convert(sources, output_dir, options).summary(output_dir)))


def _define_flags() -> None:
    flags.DEFINE_multi_string(
        "source", None,
        "folder, .zip or .jpg.cat; several: separated by commas, or repeat the flag",
        required=True,
    )  # fmt: skip
    flags.DEFINE_string(
        "exclude", None, "leave out the pictures that this text names, as 00000003_019 or "
        "00000003_019.jpg; the authors' setting_up_script.sh serves as it is",
    )  # fmt: skip
    _converter_flags.define(image_size=128, crop=False)


if __name__ == "__main__":
    _define_flags()
    command_line.run(main)
