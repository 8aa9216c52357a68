"""Turns a folder of images, an archive of one, or arrays into a data set that training reads.

    python -m tools.convert_images --source=photos --output_dir=data/photos --image_size=64

--source is a folder of images or of a folder per class; a .zip, .tar or .tar.gz of either; an .npz
or .npy of arrays (`images`, `labels` and `class_names`, or Keras' or MedMNIST's names); Parquet
files with a column of images; MNIST's IDX files; or CIFAR's binary version.

Labels come from --labels=FILE.csv (path,label), else from a label file in the source (dataset.json
of StyleGAN, metadata.csv or metadata.jsonl of Hugging Face), else from class folders. Folders named
train and test (or validation) are splits. What looks like labels and is not used, what is left out
and what is read in another way than it is declared is printed as a warning, by number and name.

--test_source, any of these as well, becomes the split "test" of the data set, beside "train". Its
classes are matched by name with those of --source, which also decides between grey and colour.
--val_fraction=0.1 makes the split "test" of a tenth of --source instead, by the content of each
image. An interrupted conversion continues when the same command is run again.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from lsgan_tf.datasets import manifest, pictures, writer
from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError, printable

from . import converter_flags, picture_options
from .picture_options import PictureOptions
from .sources import any_source, curation, file_listing, label_files, messages, selection
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
    val_fraction: float = 0  # of what these leave: becomes the split "test"
    channels: str = "auto"  # "auto": as the first readable image; "grey"; "colour"
    encoding: str = "png"  # or "jpeg"
    labels: str = "auto"  # "auto", "folders", "none" or a file of paths and labels
    splits: str = "auto"  # "auto": folders named train and test are splits; "none"
    zip_encoding: str | None = None  # of names in a zip that do not declare one; None: guessed
    max_bad: int | str = 0  # so many, or a share: "1%"
    processes: int = 1


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
    sources = {"train": source} | ({"test": test_source} if test_source else {})
    if test_source:
        _check_apart(source, test_source)
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
        listings["test"] = _with_ids_of_train(train, test, sources)
    if choices.table:
        choices.table.tell_unused()
    if options.val_fraction:
        curation.check_undivided(listings, "--test_source" if test_source else "")
    selected = selection.select(listings, options.classes, options.max_images, options.balanced)
    selected = curation.curate(selected, options.val_fraction, options.processes)
    plan = _plan(selected, sources, options)
    return writer.write(output_dir, plan, processes=options.processes, max_bad=options.max_bad)


def _check_apart(source: Path, test_source: Path) -> None:
    """Raises `UserError` if the two share pictures."""
    kinds = [file_listing.kind(path) for path in (source, test_source)]
    if None in kinds:  # the listing reports which is absent
        return
    if source.samefile(test_source):
        raise UserError(f"--test_source={test_source} is the same as --source; pass another")
    train, test = source.resolve(), test_source.resolve()
    nested = train.is_relative_to(test) or test.is_relative_to(train)
    if kinds == ["folder", "folder"] and nested:  # archives in a folder are not read
        raise UserError(
            f"of --source={source} and --test_source={test_source} one contains the other, so that "
            "images would be in both splits. Pass two separate folders"
        )


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
    print(printable(_describe(listing, path)), flush=True)
    return _reading(listing, options)


def _reading(listing: Source, options: Options) -> Source:
    """The listing, and those of further splits, whose files are read as the options say."""
    if not isinstance(listing.reader, FileReader):
        return listing
    reader = dataclasses.replace(listing.reader, reading=options.reading())
    more = {split: _reading(part, options) for split, part in listing.more.items()}
    return dataclasses.replace(listing, reader=reader, more=more)


def _describe(listing: Source, source: Path) -> str:
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


def _with_ids_of_train(train: Source, test: Source, sources: dict[str, Path]) -> Source:
    """The test source with the class ids of the train source, found by name.

    Raises:
        UserError: only one of them has labels, or the test source has classes of its own.
    """
    if test.class_names == train.class_names:
        return test
    named = {split: f"{_FLAGS[split]}={path}" for split, path in sources.items()}
    if test.class_names is None or train.class_names is None:
        labelled, other = ("train", "test") if test.class_names is None else ("test", "train")
        raise UserError(
            f"{named[labelled]} has labels, {named[other]} has none. Give the latter a folder per "
            "class (with --labels=folders one is enough) or, in an .npz, `labels`; or choose "
            "--labels=none to leave out the labels of both"
        )
    ids = {name: number for number, name in enumerate(train.class_names)}
    unknown = [name for name in test.class_names if name not in ids]
    if unknown:
        raise UserError(
            f"{named['test']} has classes that {named['train']} lacks: "
            f"{messages.first(unknown, 10)} (it has {messages.first(train.class_names, 10)}). Give "
            "both the same names, or choose --labels=none to leave out the labels of both"
        )
    entries = [Entry(entry.name, ids[test.class_names[entry.label]]) for entry in test.entries]
    return dataclasses.replace(test, entries=entries, class_names=train.class_names)


def _plan(selected: selection.Selected, sources: dict[str, Path], options: Options) -> writer.Plan:
    listings = selected.listings
    train = listings["train"]
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
    given |= {"balanced": options.balanced, "val_fraction": options.val_fraction}
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
    flags.DEFINE_string("zip_encoding", None, "of names in a zip that do not declare it: gbk, ...")
    converter_flags.define(image_size=None, crop="center", val_fraction=True)


if __name__ == "__main__":
    _define_flags()
    command_line.run(main)
