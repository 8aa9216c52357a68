"""Tells what is in a source of pictures, and which commands convert it and train on it.

    python -m tools.inspect photos

The source is anything that convert_images takes, or an LMDB of photographs. It is read as the
converters read it: what they would leave out, change or warn of is counted and named. Nothing is
written but the contact sheet of --sheet=FILE.png. Of a large source, --max_images looks at some.
"""

import functools
import itertools
import math
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from lsgan_tf.datasets.catalog import TRAIN
from lsgan_tf.utils import command_line, files
from lsgan_tf.utils.errors import UserError, printable
from lsgan_tf.utils.layout import with_tools

from . import convert_images, convert_lsun, converter_flags, proposals
from .sources import any_source, archives, file_listing, lmdb_source, messages, picture_survey
from .sources.image_sources import Choices, Source
from .sources.picture_survey import Survey
from .sources.readers import Entry
from .verifying import contact_sheet, dataset_report

# Sources of other converters, by the ends of the names of their files.
_OTHERS = {".gnt": "convert_hwdb", ".jpg.cat": "convert_cats", "data.mdb": "convert_lsun"}
_LOOKED_AT = 1000  # names of files that tell whether a source is one of these
_SIDES = (1, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)  # where the bars of the histogram begin
_BAR = 40  # characters
_NAMED = 3

Pairs = Iterator[tuple[str, str]]  # the lines of the report: what and how much


def inspect(source: Path, max_images: int, processes: int, sheet: Path | None = None) -> list[str]:
    """Reads a source.

    Args:
        source: the source.
        max_images: look at about so many; 0: all.
        processes: the largest number of processes that read.
        sheet: where to draw a contact sheet.

    Returns:
        The lines of the report, the proposed commands last.

    Raises:
        UserError: it cannot be read, or the sheet cannot be written.
    """
    started = time.monotonic()
    if other := _other_converter(source):
        told = f"{source} is a source of {other}, which tells what is in it:"
        return [told, proposals.convert(other, source)]
    listing, labels, total = _open(source, max_images)
    parts = {TRAIN: listing, **listing.more}
    entries = {split: part.entries for split, part in parts.items()}
    entries = picture_survey.sample(entries, max_images)
    survey = picture_survey.survey(listing.reader, entries, listing.class_names, processes)
    seen = sum(map(len, entries.values()))
    pairs = [("source", convert_images.describe(listing, source))]
    if seen < total:
        pairs.append(("sample", f"{seen} of {total} images, evenly spaced; what follows is of it"))
    pairs += [*_about(survey, listing), *_repeated(survey, entries)]
    if sheet and (drawn := contact_sheet.draw(
        survey.gallery, contact_sheet.MAX_TILE, contact_sheet.Font(None)
    )):  # fmt: skip
        files.write_bytes(sheet, drawn)
        pairs.append(("sheet", str(sheet)))
    seconds = time.monotonic() - started
    pairs.append(("read", f"{seen} images in {seconds:.1f} s, {seen / seconds:.0f} images/s"))
    lines = [f"  {name:<11} {dataset_report.shown(text)}" for name, text in pairs]
    if not survey.places:
        return [*lines, "No image of it can be used."]
    lmdb = _is_lmdb(source)
    choices = proposals.choices(survey, colour=lmdb, sampled=seen < total)
    choices += [f"--labels={labels}"] * (labels != "auto")
    tool = "convert_lsun" if lmdb else "convert_images"
    lines += ["", "To convert it, and to train:", proposals.convert(tool, source, *choices)]
    return [*lines, *proposals.train(source, total if lmdb else len(listing.entries))]


def _other_converter(source: Path) -> str | None:
    """The converter of a source that neither convert_images nor this tool reads."""
    if _is_lmdb(source):
        return None
    names: Sequence[str] = [source.name]
    kind = file_listing.kind(source)
    if kind == "folder":
        found = itertools.islice(file_listing.walk_visible_files(source), _LOOKED_AT)
        names = [path.name for path in found]
    elif kind == "file" and source.suffix.lower() == ".zip":
        with archives.open_zip(source) as archive:
            names = archive.namelist()[:_LOOKED_AT]
    found = (tool for name in names for end, tool in _OTHERS.items() if name.lower().endswith(end))
    return next(found, None)


def _is_lmdb(source: Path) -> bool:
    return file_listing.kind(source / "data.mdb") == "file" or source.suffix == ".mdb"


def _open(source: Path, max_images: int) -> tuple[Source, str, int]:
    """The listing of a source, the --labels that it needs, and how many images there are."""
    if _is_lmdb(source):
        file = lmdb_source.find_data_file(source)
        count = lmdb_source.count_entries(file)
        looked = min(max_images or count, count)
        keys = convert_lsun.list_keys(file, [n * count // looked for n in range(looked)], count)
        entries = [Entry(key.decode("latin-1"), None) for key in keys.starts]
        return Source(lmdb_source.LmdbReader(file), entries, None, keys.identity), "auto", count
    try:
        listing, labels = any_source.open_source(source, "--source", Choices()), "auto"
    except UserError as error:
        try:
            listing = any_source.open_source(source, "--source", Choices("none", splits="none"))
        except UserError:
            raise error from None
        messages.warn(f"{error}. Looked at without labels")
        labels = "none"
    return listing, labels, sum(len(part.entries) for part in (listing, *listing.more.values()))


def _about(survey: Survey, listing: Source) -> Pairs:
    yield "formats", _counts(survey.formats)
    yield "modes", _counts(survey.modes)
    yield from _sizes(survey)
    names, kept = listing.class_names, survey.classes
    for split in [TRAIN, *listing.more]:
        if listing.more:
            count = sum(number for (its, _), number in kept.items() if its == split)
            yield "split", f"{split}: {count} images"
        if names:
            counts = [kept[split, number] for number in range(len(names))]
            yield from dataset_report.histogram("label", names, counts)
    for note, noted in sorted(survey.notes.items()):
        yield "note", f"{note}: {noted}"
    yield "bad", dataset_report.plural(survey.bad.count, "image")
    yield from (("", line) for line in survey.bad.listed)
    if survey.bad.count > len(survey.bad.listed):
        yield "", f"and {survey.bad.count - len(survey.bad.listed)} more"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common()) or "none"


def _sizes(survey: Survey) -> Pairs:
    total = survey.shorter.total()
    if not total:
        return
    least, most = min(survey.shorter), max(survey.shorter)
    yield (
        "size",
        f"shorter side {least} to {most} pixels; {survey.squares} of {total} images are square",
    )
    if least == most:
        return
    bins = Counter(max(side for side in _SIDES if side <= shorter)
                   for shorter in survey.shorter.elements())  # fmt: skip
    width = len(str(max(bins.values())))
    for start in _SIDES:
        if min(bins) <= start <= max(bins):
            count = bins[start]
            bar = "#" * math.ceil(_BAR * count / max(bins.values()))
            yield "", f"from {start:>4}  {count:>{width}}  {bar}".rstrip()


def _repeated(survey: Survey, entries: picture_survey.Entries) -> Pairs:
    every = [(split, entry) for split, its in entries.items() for entry in its]

    def told(pairs: dict[int, int], what: str, sign: str) -> str:
        both = [(every[place], every[first]) for place, first in sorted(pairs.items())]
        said = f"{len(both)} images {what} one before them"
        said += (
            f": {messages.first(f'{a[1].name} {sign} {b[1].name}' for a, b in both[: _NAMED + 1])}"
        )
        labels = sum(a[1].label != b[1].label for a, b in both)
        splits = sum(a[0] != b[0] for a, b in both)
        said += f"; {labels} have another label" * bool(labels)
        return said + f"; {splits} are in another split" * bool(splits)

    equal, alike = survey.duplicates()
    yield "duplicates", told(equal, "are, byte for byte,", "=") if equal else "none"
    yield "alike", told(alike, "look like", "like") if alike else "none besides"


def main() -> None:
    source, sheet = map(converter_flags.read_path, ("source", "sheet"))
    if source is None:
        raise UserError(with_tools("name what to look at: python -m tools.inspect SOURCE"))
    if sheet and (sheet.suffix.lower() != ".png" or not sheet.parent.is_dir()):
        raise UserError(f"--sheet={sheet} must end in .png and be in a folder that exists")
    values = flags.FLAGS
    report = inspect(source, values["max_images"].value, values["processes"].value, sheet)
    print(printable("\n".join(report)))


def _define_flags() -> None:
    flags.DEFINE_string("source", None, "folder, archive, file of arrays, or LMDB")
    flags.DEFINE_string("sheet", None, "a .png to draw some of the pictures on")
    flags.DEFINE_integer("max_images", 0, "look at about so many, evenly spaced; 0: all", 0)
    flags.DEFINE_integer("processes", os.cpu_count(), "how many processes read at the same time", 1)


if __name__ == "__main__":
    _define_flags()
    command_line.run(main, functools.partial(command_line.parse_flags, bare="source"))
