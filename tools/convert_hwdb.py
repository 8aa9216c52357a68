"""Turns handwritten characters in GNT files into a data set: CASIA-HWDB1.0, 1.1 and 1.2.

    python -m tools.convert_hwdb --source=HWDB1.0trn_gnt --output_dir=data/hwdb --level1

--source is a folder of .gnt files, a .zip of them, or one .gnt; several, separated by commas, are
combined. Each file is one writer. The classes are the Chinese characters that occur, numbered
in the order of their code points; symbols, letters and digits are left out. Every record has the
character as its label and the number of its writer. White paper stays white (255).
--val_fraction=0.1 makes the split "test" of a tenth of the writers: of those whose file has a
SHA-256 below 0.1 of the largest. An interrupted conversion continues when the same command is run
again.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image

from lsgan_tf.datasets import manifest, pictures, writer
from lsgan_tf.datasets.catalog import TRAIN
from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError, printable

from . import converter_flags
from .sources import gnt, gnt_sources, gnt_survey, hwdb_characters, shares
from .sources.gnt_sources import Listing
from .sources.gnt_survey import Piece, Survey
from .sources.hwdb_characters import Selection

PAPER = 255


@dataclasses.dataclass(frozen=True)
class Options:
    """How to convert; the flags of the command."""

    image_size: int = 28  # side of the square, pixels
    fit: str = "stretch"  # to the square; "pad": keep the aspect ratio, fill with paper
    level1: bool = False  # keep only characters of level 1 of GB 2312
    characters: Path | None = None  # keep only the characters in this text file
    classes: tuple[str, ...] = ()  # keep only these characters
    max_images: int = 0  # the first, file by file; 0: all
    val_fraction: float = 0.0  # of the writers of these: becomes the split "test"
    encoding: str = "png"  # or "jpeg"
    max_bad: int | str = 0  # so many, or a share: "1%"
    processes: int = 1


def convert(sources: Sequence[Path], output_dir: Path, options: Options) -> manifest.Manifest:
    """Converts the characters of `sources` into a data set at `output_dir`.

    Raises:
        UserError: a source cannot be used, more than `max_bad` records cannot be used, or as
            `writer.write` does.
    """
    output_dir = writer.check_target(output_dir)
    selection = hwdb_characters.make_selection(options.level1, options.characters, options.classes)
    listing = gnt_sources.find(sources)
    survey = gnt_survey.survey(listing.files, selection, options.processes)
    names = selection.class_names(survey.kept)
    source = ", ".join(map(str, sources))
    print(printable(f"{source}: {_describe(listing, survey, names)}"), flush=True)
    _check(survey, source, options.max_bad)
    counts = _divided(listing, survey, options)
    plan = _plan(listing, survey, counts, selection, names, source, options)
    return writer.write(output_dir, plan, processes=options.processes, max_bad=options.max_bad)


def _describe(listing: Listing, survey: Survey, names: Sequence[str]) -> str:
    kept = f"{len(listing.files)} files, {survey.kept.total()} characters of {len(names)} classes"
    absent = len(names) - len(survey.kept)
    parts = [f"{kept} ({absent} of them do not occur)" if absent else kept]
    if survey.damaged:
        parts.append(f"{survey.damaged} damaged records")
    parts += [f"{count} {what} are left out" for what, count in sorted(survey.left_out.items())]
    if listing.ignored:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(listing.ignored.items()))
        parts.append(f"files of other kinds are ignored ({kinds})")
    return "; ".join(parts)


def _check(survey: Survey, source: str, max_bad: int | str) -> None:
    lines = "".join(f"\n  {where}: {why}" for where, why in survey.damages)
    more = survey.damaged - len(survey.damages)
    lines += f"\n  and {more} more" if more else ""
    if survey.damaged > writer.most_bad(max_bad, survey.items):
        raise UserError(
            f"{survey.damaged} records cannot be used, more than --max_bad={max_bad}:{lines}"
            f"\nSkip them with --max_bad={survey.damaged} or more, or get these files again."
        )
    if not survey.kept:
        damages = f"; {survey.damaged} records cannot be used:{lines}" if survey.damaged else ""
        raise UserError(f"none of the characters in {source} is one to keep{damages}")


def _divided(listing: Listing, survey: Survey, options: Options) -> dict[str, list[int]]:
    """How many items, the first ones, of each file belong to each split."""
    counts, left = [], options.max_images or survey.items
    for file in survey.files:
        counts.append(min(file.items, left))
        left -= counts[-1]
    if not options.val_fraction:
        return {TRAIN: counts}
    used = np.flatnonzero(counts)
    found = gnt_survey.contents_of([listing.files[n] for n in used], options.processes)
    parts = shares.divide(found, options.val_fraction, "writers")
    held_out = {split: set(used[part]) for split, part in parts.items()}
    return {
        split: [count if n in its else 0 for n, count in enumerate(counts)]
        for split, its in held_out.items()
    }


def _plan(
    listing: Listing,
    survey: Survey,
    counts: Mapping[str, list[int]],
    selection: Selection,
    names: tuple[str, ...],
    source: str,
    options: Options,
) -> writer.Plan:
    target = pictures.Target(options.image_size, channels=1, encoding=options.encoding)
    class_ids = {name: number for number, name in enumerate(names)}
    how = (selection, class_ids, target, options.fit)
    left_out = dict(survey.left_out)
    if beyond := survey.items - sum(map(sum, counts.values())):
        left_out[f"images beyond --max_images={options.max_images}"] = beyond
    given = {"max_images": options.max_images, "val_fraction": options.val_fraction}
    return writer.Plan(
        image_shape=target.shape,
        encoding=target.encoding,
        class_names=names,
        source=source,
        source_identity=listing.identity,
        tool="tools.convert_hwdb",
        flags=target.flags
        | {"fit": options.fit}
        | selection.flags()
        | {name: value for name, value in given.items() if value},
        jobs=[
            writer.ShardJob(_produce, (pieces, *how), sum(piece.count for piece in pieces), split)
            for split, its in counts.items()
            for pieces in gnt_survey.cut(
                listing.files, survey.files, its, writer.shard_bounds(sum(its))
            )
        ],
        extra_features={"writer": tuple(file.writer for file in listing.files)},
        left_out=left_out,
    )


def _produce(
    pieces: Sequence[Piece],
    selection: Selection,
    class_ids: Mapping[str, int],
    target: pictures.Target,
    fit: str,
) -> Iterator[writer.Record | writer.Skipped]:
    for piece in pieces:
        for item in piece.items(selection):
            if isinstance(item, gnt.Damage):
                yield writer.Skipped(gnt_survey.describe_place(piece.file, item), item.why)
                continue
            image = Image.frombuffer("L", (item.width, item.height), item.bitmap, "raw", "L", 0, 1)
            if fit == "pad":
                image = _padded(image, target.size)
            label = class_ids[item.text]
            yield writer.Record(target.encode(image), label, {"writer": piece.writer})


def _padded(image: Image.Image, size: int) -> Image.Image:
    """Resizes to `size` pixels along the longer side and centres the result on white paper."""
    longer = max(image.size)
    width, height = (max(1, round(side * size / longer)) for side in image.size)
    square = Image.new("L", (size, size), PAPER)
    inner = image.resize((width, height), Image.Resampling.BILINEAR)
    square.paste(inner, ((size - width) // 2, (size - height) // 2))
    return square


def main() -> None:
    options = converter_flags.read_options(
        Options,
        characters=converter_flags.read_path("characters"),
        classes=tuple(name for name in flags.FLAGS["classes"].value if name),
    )
    output_dir = converter_flags.read_path("output_dir")
    sources = converter_flags.split_sources(flags.FLAGS["source"].value)
    print(printable(convert(sources, output_dir, options).summary(output_dir)))


def _define_flags() -> None:
    flags.DEFINE_multi_string(
        "source", None, "folder, .zip or .gnt; several: separated by commas, or repeat the flag",
        required=True,
    )  # fmt: skip
    flags.DEFINE_enum(
        "fit", "stretch", ["stretch", "pad"],
        "stretch to the square, or keep the aspect ratio and pad with white",
    )  # fmt: skip
    flags.DEFINE_bool("level1", False, "keep only characters of level 1 of GB 2312")
    flags.DEFINE_string(
        "characters", None, "keep only the characters in this UTF-8 text file; each of them is a "
        "class, even if it does not occur",
    )  # fmt: skip
    flags.DEFINE_list("classes", [], "the same, characters separated by commas")
    flags.DEFINE_integer(
        "max_images",
        0,
        "use the first, file by file: of few writers, but of all characters; 0: all",
        0,
    )
    converter_flags.define(image_size=28, held_out="writers", of=" file's")


if __name__ == "__main__":
    _define_flags()
    command_line.run(main)
