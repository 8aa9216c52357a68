"""Turns the CAT archive (Zhang, Sun and Tang, ECCV 2008) into a data set of cats' faces.

    python -m tools.convert_cats --output_dir=data/cats --exclude=setting_up_script.sh \\
        --source=CAT_DATASET_01.zip,CAT_DATASET_02.zip,00000003_015.jpg.cat

--source is a folder or a .zip with photographs NAME.jpg and their annotations NAME.jpg.cat, or one
annotation; several, separated by commas, are combined. A later annotation replaces an earlier one
of the same name: a corrected one of 00000003_015 was published beside the archive.

Every face is turned until the eyes are level, cut out as a square that reaches from ear to ear, and
resized to the square of --image_size, as for the cats of the PAMI paper (improved_LSGAN, `cats`);
faces smaller than that are left out. Unlike there, the faces are not stored as JPEG in between. The
authors also left out 134 pictures that they list by name in the folder's setting_up_script.sh;
--exclude accepts that script. --val_fraction=0.1 makes the split "test" of a tenth, as for
convert_images. The pictures have no labels and are sorted by name. An interrupted conversion
continues when the same command is run again.

Tested on synthetic pictures only: the archive itself was not available.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from absl import flags

from lsgan_tf.datasets import manifest, pictures, writer
from lsgan_tf.datasets.catalog import TRAIN
from lsgan_tf.utils import command_line, progress
from lsgan_tf.utils.errors import UserError, printable

from . import converter_flags, picture_options
from .sources import cat_sources, file_listing, selection, shares
from .sources.cat_faces import Face
from .sources.cat_sources import Cat, Listing

LISTED_OVERRIDES = 5

# NAME and NAME.jpg are pictures to leave out. NAME.jpg.cat is not: the authors' script names the
# annotations that it deletes, but also the one that it replaces, whose picture is used.
_EXCLUDED = re.compile(r"(?<!\d)\d{8}_\d{3}(?!\d|\.jpg\.cat)", re.ASCII | re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Options:
    """How to convert; the flags of the command."""

    image_size: int = 128  # side of the square, pixels; faces smaller than this are left out
    exclude: Path | None = None  # a text file that names pictures to leave out
    max_images: int = 0  # chosen by a digest of their names; 0: all
    val_fraction: float = 0.0  # of these: becomes the split "test"
    encoding: str = "png"  # or "jpeg"
    max_bad: int | str = 0  # so many, or a share: "1%"
    processes: int = 1


def convert(sources: Sequence[Path], output_dir: Path, options: Options) -> manifest.Manifest:
    """Converts the faces of `sources` into a data set at `output_dir`.

    Raises:
        UserError: a source cannot be used, more than `max_bad` of its pictures or annotations
            cannot be used, or as `writer.write` does.
    """
    output_dir = writer.check_target(output_dir)
    listing = cat_sources.find(sources)
    source = ", ".join(map(str, sources))
    excluded = _excluded(options.exclude, listing)
    survey = _survey(listing, excluded, options.image_size)
    print(printable(f"{source}: {_describe(listing, survey)}"), flush=True)
    if not any(isinstance(face, Face) for _, face in survey.kept):
        raise _no_faces(survey, source)
    survey = _first(survey, options.max_images)
    splits = _divided(survey.kept, options.val_fraction, options.processes)
    plan = _plan(listing, survey, splits, excluded, source, options)
    return writer.write(output_dir, plan, processes=options.processes, max_bad=options.max_bad)


def _excluded(file: Path | None, listing: Listing) -> list[str]:
    """The sorted names of the pictures in the source that `file` names."""
    if file is None:
        return []
    data = file_listing.read_list(file, f"--exclude={file}")
    listed = set(_EXCLUDED.findall(data.decode("utf-8", "replace")))
    excluded = sorted(listed & {cat.name for cat in listing.cats})
    if not excluded:
        raise UserError(
            f"--exclude={file} names {len(listed)} pictures, none of which is in the source. Names "
            "are of the form 00000003_019 or 00000003_019.jpg"
        )
    print(f"{file}: {len(listed)} names, {len(excluded)} of them in the source", flush=True)
    return excluded


_FaceOrDamage = tuple[Cat, Face | pictures.BadImage]


@dataclasses.dataclass(frozen=True)
class Survey:
    """What the annotations and the headers of the pictures say."""

    kept: list[_FaceOrDamage]  # sorted by name
    left_out: Counter  # reason -> number of pictures


def _survey(listing: Listing, excluded: Sequence[str], image_size: int) -> Survey:
    excluded = frozenset(excluded)
    survey = Survey([], Counter())
    for cat in progress.bar(listing.cats, unit="image", desc="survey"):
        if cat.name in excluded:
            survey.left_out["listed outliers"] += 1
            continue
        try:
            face = cat.face()
        except pictures.BadImage as bad:
            survey.kept.append((cat, bad))
            continue
        if face.shorter_side < image_size:
            survey.left_out[f"faces smaller than {image_size} pixels"] += 1
        else:
            survey.kept.append((cat, face))
    return survey


def _first(survey: Survey, most: int) -> Survey:
    """So many of the kept, the same each time; 0: all."""
    if not 0 < most < len(survey.kept):
        return survey
    chosen = sorted(survey.kept, key=lambda kept: selection.place(kept[0].name))[:most]
    beyond = {f"images beyond --max_images={most}": len(survey.kept) - most}
    return Survey(sorted(chosen, key=lambda kept: kept[0].name), Counter(survey.left_out | beyond))


def _divided(
    kept: list[_FaceOrDamage], fraction: float, processes: int
) -> dict[str, list[_FaceOrDamage]]:
    """The split "test" by the content of the photographs."""
    if not fraction:
        return {TRAIN: kept}
    found = cat_sources.contents_of([cat for cat, _ in kept], processes)
    parts = shares.divide(found, fraction)
    return {split: [kept[n] for n in numbers] for split, numbers in parts.items()}


def _describe(listing: Listing, survey: Survey) -> str:
    bad = sum(isinstance(face, pictures.BadImage) for _, face in survey.kept)
    parts = [f"{len(listing.cats)} photographs, {len(survey.kept) - bad} faces to convert"]
    parts += [f"{bad} cannot be used"] if bad else []
    parts += [f"{count} {what} are left out" for what, count in sorted(survey.left_out.items())]
    if listing.unmatched:
        parts.append(f"{listing.unmatched} annotations without a photograph are ignored")
    if listing.ignored:
        parts.append(f"{listing.ignored} files of other kinds are ignored")
    more = len(listing.overridden) - LISTED_OVERRIDES
    lines = ["; ".join(parts), *listing.overridden[:LISTED_OVERRIDES]]
    return "\n  ".join(lines + [f"and {more} more"] * (more > 0))


def _no_faces(survey: Survey, source: str) -> UserError:
    left_out = [f"{count} {what}" for what, count in sorted(survey.left_out.items())]
    bad = [f"{cat.picture.full_name}: {why}" for cat, why in survey.kept[:1]]
    return UserError(f"there is no face to convert in {source} ({'; '.join(left_out + bad)})")


def _plan(
    listing: Listing,
    survey: Survey,
    splits: Mapping[str, list[_FaceOrDamage]],
    excluded: list[str],
    source: str,
    options: Options,
) -> writer.Plan:
    target = pictures.Target(options.image_size, channels=3, encoding=options.encoding)
    given = {"max_images": options.max_images, "val_fraction": options.val_fraction}
    return writer.Plan(
        image_shape=target.shape,
        encoding=target.encoding,
        class_names=None,
        source=source,
        source_identity=listing.identity,
        tool="tools.convert_cats",
        flags=target.flags
        | {"excluded": excluded}
        | {name: value for name, value in given.items() if value},
        jobs=[
            writer.ShardJob(_produce, (kept[start:stop], target), stop - start, split)
            for split, kept in splits.items()
            for start, stop in writer.shard_bounds(len(kept))
        ],
        left_out=dict(survey.left_out),
    )


def _produce(
    faces: Sequence[_FaceOrDamage], target: pictures.Target
) -> Iterator[writer.Record | writer.Skipped]:
    for cat, face in faces:
        image = face if isinstance(face, pictures.BadImage) else cat.decode()
        if isinstance(image, pictures.BadImage):
            yield writer.Skipped(cat.picture.full_name, str(image))
        else:
            image = pictures.in_srgb(image)
            cut = face.cut(image)
            cut.info = image.info
            yield picture_options.record(cut, cat.picture.full_name, target)


def main() -> None:
    options = converter_flags.read_options(Options, exclude=converter_flags.read_path("exclude"))
    output_dir = converter_flags.read_path("output_dir")
    sources = converter_flags.split_sources(flags.FLAGS["source"].value)
    print(printable(convert(sources, output_dir, options).summary(output_dir)))


def _define_flags() -> None:
    flags.DEFINE_multi_string(
        "source", None,
        "folder, .zip or .jpg.cat; several: separated by commas, or repeat the flag",
        required=True,
    )  # fmt: skip
    flags.DEFINE_string(
        "exclude", None, "leave out the pictures that this text file names, as 00000003_019 or "
        "00000003_019.jpg; for example the authors' setting_up_script.sh",
    )  # fmt: skip
    flags.DEFINE_integer("max_images", 0, "chosen by a digest of their names; 0: all", 0)
    converter_flags.define(image_size=128)


if __name__ == "__main__":
    _define_flags()
    command_line.run(main)
