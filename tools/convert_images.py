"""Turns a folder of images, an archive of one, or arrays into a data set that training reads.

    python -m tools.convert_images --source=photos --output_dir=data/photos --image_size=64

--source is a folder of images or of a folder per class; a .zip or .tar (.gz, .bz2, .xz) of either;
a folder of zips, each of which is a class or, named train.zip or test.zip, a split; an .npz or .npy
of arrays (`images`, `labels` and `class_names`, or Keras' or MedMNIST's names); Parquet files with
a column of images; MNIST's IDX files; or CIFAR's binary version.

Labels come from --labels=FILE.csv (path,label), else from a label file in the source (dataset.json
of StyleGAN, metadata.csv or metadata.jsonl of Hugging Face), else from class folders. Folders named
train and test (or validation) are splits. What looks like labels and is not used, what is left out
and what is read in another way than it is declared is printed as a warning, by number and name.

--test_source, any of these as well, becomes the split "test" of the data set, beside "train". Its
classes are matched by name with those of --source, which also decides between grey and colour.
--val_fraction=0.1 makes the split "test" of a tenth of --source instead: of the images whose
SHA-256 (of the file, or of the row as it is stored) is below 0.1 of the largest.

--deduplicate=exact leaves out images that equal one before them byte for byte, near also such as
look like one of their class. Of the splits test is first, then validation, then train. Beside the
data set DIR.duplicates.csv names all pairs, DIR.duplicates.png shows the first. Both flags are
about what --classes and --max_images leave; duplicates go first.

An interrupted conversion continues when the same command is run again.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from lsgan_tf.datasets import manifest, pictures, writer
from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError, printable

from . import converter_flags, duplicates_report, picture_options
from .picture_options import PictureOptions
from .sources import (
    any_source,
    curation,
    duplicates,
    label_files,
    messages,
    selection,
    shares,
    source_pair,
)
from .sources.image_sources import Choices, Source
from .sources.readers import Entry, FileReader, Reader

_FLAGS = {"train": "--source", "test": "--test_source"}  # the flag of each split


@dataclasses.dataclass(frozen=True)
class Options(PictureOptions):
    """How to convert; the flags of the command."""

    image_size: int  # side of the square, pixels
    crop: str = "center"  # its middle square; "none": resized straight to it; "pad": with margins
    classes: tuple[str, ...] = ()  # to keep, in this order; none: all
    max_images: int = 0  # of the split "train"; 0: all
    balanced: bool = False  # `max_images` of each class
    deduplicate: str | None = (
        None  # "exact", "near": of equal pictures, or such as look alike, one stays
    )
    val_fraction: float = 0.0  # of what these leave: becomes the split "test"
    channels: str = "auto"  # "auto": as the first readable image; "grey"; "colour"
    encoding: str = "png"  # or "jpeg"
    labels: str = "auto"  # "auto", "folders", "none" or a file of paths and labels
    splits: str = "auto"  # "auto": folders named train and test are splits; "none"
    zip_encoding: str | None = None  # of names in a zip that do not declare one; None: guessed
    max_bad: int | str = 0  # so many, or a share: "1%"
    processes: int = 1

    def curation(self) -> curation.Choices:
        """What is done by the content of pictures."""
        return curation.Choices(self.deduplicate, self.val_fraction)


def convert(
    source: Path, output_dir: Path, options: Options, test_source: Path | None = None
) -> manifest.Manifest:
    """Converts `source` into a data set at `output_dir`.

    Args:
        source: becomes the split "train".
        output_dir: as for `writer.write`.
        options: how.
        test_source: becomes the split "test".

    Raises:
        UserError: a source cannot be used, the two share pictures or disagree on the classes, more
            than `max_bad` of the images cannot be used, or as `writer.write` does.
    """
    output_dir = writer.check_target(output_dir)
    report = duplicates_report.Report(output_dir) if options.deduplicate else None
    sources = {"train": source} | ({"test": test_source} if test_source else {})
    if test_source:
        source_pair.check_apart(source, test_source)
    choices = _choices(options)
    train = _list(source, "train", choices, options)
    listings = {"train": train, **train.more}
    if test_source:
        if "test" in listings:
            raise UserError(
                f"--source={source} has a split test already; leave out --test_source, or choose "
                "--splits=none"
            )
        test = _list(test_source, "test", dataclasses.replace(choices, splits="none"), options)
        named = {split: f"{_FLAGS[split]}={path}" for split, path in sources.items()}
        listings["test"] = source_pair.with_ids_of_train(train, test, named)
    if choices.table:
        choices.table.tell_unused()
    if options.val_fraction:
        shares.check_undivided(listings, "--test_source" if test_source else "")
    selected = selection.select(listings, options.classes, options.max_images, options.balanced)
    curated, pairs = curation.curate(selected, options.curation(), options.processes)
    if pairs:
        duplicates.tell(pairs, train.class_names, str(report.list))
        report.write(pairs, selected.listings)
    plan = _plan(curated, sources, options)
    return writer.write(output_dir, plan, processes=options.processes, max_bad=options.max_bad)


def _choices(options: Options) -> Choices:
    file = label_files.is_file(options.labels)
    return Choices(
        "auto" if file else options.labels,
        label_files.read(Path(options.labels)) if file else None,
        options.splits,
        options.zip_encoding,
    )


def _list(path: Path, split: str, choices: Choices, options: Options) -> Source:
    listing = any_source.open_source(path, _FLAGS[split], choices)
    print(printable(describe(listing, path)), flush=True)
    return _reading(listing, options)


def _reading(listing: Source, options: Options) -> Source:
    """The listing, and those of further splits, whose files are read as the options say."""
    if not isinstance(listing.reader, FileReader):
        return listing
    reader = dataclasses.replace(listing.reader, reading=options.reading())
    more = {split: _reading(part, options) for split, part in listing.more.items()}
    return dataclasses.replace(listing, reader=reader, more=more)


def describe(listing: Source, source: Path) -> str:
    """What is in a source, in a line."""
    parts = {"train": listing, **listing.more}
    images = ", ".join(
        f"{len(part.entries)} images" + f" of {split}" * (len(parts) > 1)
        for split, part in parts.items()
    )
    names = listing.class_names
    classes = (
        "no labels" if names is None else f"{len(names)} classes ({messages.first(names, 10)})"
    )
    classes += f" of {listing.labels_from}" if listing.labels_from else ""
    said = f"{source}: {images}, {classes}"
    if by_content := listing.by_content:
        said += f"; {len(by_content)} are images by their content, not their ending"
        said += f" ({messages.first(by_content, 10)})"
    if listing.ignored:
        more = ", ..." * (listing.ignored > len(listing.ignored_names))
        some = f" ({', '.join(listing.ignored_names)}{more})" if listing.ignored_names else ""
        said += f"; {listing.ignored} files of other kinds are ignored{some}"
    return said


def _plan(selected: selection.Selected, sources: dict[str, Path], options: Options) -> writer.Plan:
    listings = selected.listings
    train = listings["train"]
    if options.depth == "auto":
        picture_options.check_depth(train.reader.read(train.entries))
    kind = _Kind.of(train, sources["train"], options.channels)
    target = options.target(kind.channels)
    how = (target, options.min_size, kind)
    return writer.Plan(
        image_shape=target.shape,
        encoding=target.encoding,
        class_names=train.class_names,
        source=", ".join(map(str, sources.values())),
        # Without a test source this is the train source's own: such conversions can continue.
        source_identity="\n".join(_identities(listings)),
        tool="tools.convert_images",
        flags=target.flags | options.flags() | _selecting_flags(options),
        jobs=[
            job
            for split, listing in listings.items()
            for job in _jobs(listing, split, how, split in sources and split != "train")
        ],
        left_out=selected.left_out,
    )


def _selecting_flags(options: Options) -> dict[str, Any]:
    """Those that are given: a plan from before there were others stays the same."""
    # The content of a label file is part of the identity, its path is not.
    labels = "file" if label_files.is_file(options.labels) else options.labels
    given = {"classes": options.classes, "max_images": options.max_images}
    given |= {"balanced": options.balanced} | dataclasses.asdict(options.curation())
    return {"labels": labels} | {name: value for name, value in given.items() if value}


def _identities(listings: dict[str, Source]) -> Iterator[str]:
    for split, listing in listings.items():
        yield listing.identity if split == "train" else f"{split} {listing.identity}"


def _jobs(
    listing: Source, split: str, how: tuple, of_test_source: bool
) -> Iterator[writer.ShardJob]:
    # Both sources may have a file of the same name. The flag tells them apart; a path would not
    # do, because the plan does not depend on it.
    of = f" of {_FLAGS['test']}" if of_test_source else ""
    for start, stop in writer.shard_bounds(len(listing.entries)):
        arguments = (listing.reader, listing.entries[start:stop], of, *how)
        yield writer.ShardJob(_produce, arguments, stop - start, split)


@dataclasses.dataclass(frozen=True)
class _Kind:
    """Whether images are grey or in colour, and the image that decided it (None: the flag)."""

    channels: int
    decided_by: str | None

    @staticmethod
    def of(listing: Source, source: Path, channels: str) -> "_Kind":
        if channels != "auto":
            return _Kind(1 if channels == "grey" else 3, None)
        bad = None
        for entry, image in listing.reader.read(listing.entries):
            if not isinstance(image, pictures.BadImage):
                return _Kind(1 if pictures.is_grey(image) else 3, entry.name)
            bad = bad or f"{entry.name}: {image}"
        raise UserError(f"none of the {len(listing.entries)} images of {source} can be used; {bad}")

    def check(self, where: str, image) -> None:
        """Raises `UserError` if `image` is of the other kind and no flag decided."""
        if self.decided_by is None or pictures.is_grey(image) == (self.channels == 1):
            return
        names = ("grey", "in colour") if self.channels == 1 else ("in colour", "grey")
        raise UserError(
            f"{self.decided_by} is {names[0]}, {where} is {names[1]}. Choose --channels=grey or "
            "--channels=colour for all."
        )


def _produce(
    reader: Reader,
    entries: Sequence[Entry],
    of: str,
    target: pictures.Target,
    min_size: int,
    kind: _Kind,
) -> Iterator[writer.Record | writer.Skipped | writer.LeftOut]:
    for entry, image in reader.read(entries):
        where = f"{entry.name}{of}"
        if isinstance(image, pictures.BadImage):
            yield writer.Skipped(where, str(image))
            continue
        kind.check(where, image)
        yield picture_options.record(image, where, target, min_size, entry.label)


def main() -> None:
    path = converter_flags.read_path
    output_dir = path("output_dir")
    classes = tuple(name for name in flags.FLAGS["classes"].value if name)
    options = converter_flags.read_options(Options, classes=classes)
    finished = convert(path("source"), output_dir, options, path("test_source"))
    print(printable(finished.summary(output_dir)))


def _define_flags() -> None:
    flags.DEFINE_string("source", None, "folder, archive or file of arrays", required=True)
    flags.DEFINE_string("test_source", None, "the same for a split named test")
    flags.DEFINE_enum(
        "channels", "auto", ["auto", "grey", "colour"], "auto: as the first readable image"
    )
    flags.DEFINE_string(
        "labels", "auto",
        "auto: a label file in the source (dataset.json, metadata.csv, metadata.jsonl), else class "
        "folders if there are two or more, or the `labels` of an .npz; folders; none; or the path "
        "of a .csv of path,label",
    )  # fmt: skip
    flags.DEFINE_enum(
        "splits", "auto", ["auto", "none"],
        "auto: if the topmost folders are named train and test (or validation), they are splits",
    )  # fmt: skip
    flags.DEFINE_list("classes", [], "the classes to keep, in the order of their ids; default: all")
    flags.DEFINE_integer(
        "max_images", 0, "of --source, chosen by a digest of their names; 0: all", 0
    )
    flags.DEFINE_bool("balanced", False, "take --max_images of each class")
    flags.DEFINE_enum(
        "deduplicate", None, [duplicates.EXACT, duplicates.NEAR],
        "leave out images that equal one before them byte for byte (exact), or also such as look "
        "like one of their class (near): resized, encoded anew, brightened",
    )  # fmt: skip
    flags.DEFINE_string("zip_encoding", None, "of names in a zip that do not declare it: gbk, ...")
    converter_flags.define(image_size=None, crop="center")


if __name__ == "__main__":
    _define_flags()
    command_line.run(main)
