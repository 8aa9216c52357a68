"""Turns a folder of images, a zip of one, or an .npz into a data set that training reads.

    python -m tools.convert_images --source=photos --output_dir=data/photos --image_size=64

--source is a folder of images, a folder per class, a zip of either, or an .npz with `images`
(uint8 [N, H, W] or [N, H, W, C]) and, optionally, integer `labels` [N] and unicode `class_names`.
--test_source, any of these as well, becomes the split "test" of the data set, beside "train". Its
classes are matched by name with those of --source, which also decides between grey and colour. An
interrupted conversion continues when the same command is run again.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from lsgan_tf.datasets import manifest, pictures, writer
from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError, printable

from . import converter_flags, picture_options
from .picture_options import PictureOptions
from .sources import archives, file_listing, image_sources, npz_source
from .sources.image_sources import Entry, Reader, Source

_FLAGS = {"train": "--source", "test": "--test_source"}  # the flag of each split


@dataclasses.dataclass(frozen=True)
class Options(PictureOptions):
    """How to convert; the flags of the command."""

    image_size: int  # side of the square, pixels
    crop: str = "center"  # its middle square; "none": resized straight to it; "pad": with margins
    channels: str = "auto"  # "auto": as the first readable image; "grey"; "colour"
    encoding: str = "png"  # or "jpeg"
    labels: str = "auto"  # "auto", "folders" or "none"
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
    listings = {split: _list(path, split, options) for split, path in sources.items()}
    if test_source:
        listings["test"] = _with_ids_of_train(listings["train"], listings["test"], sources)
    plan = _plan(listings, sources, options)
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


def _list(path: Path, split: str, options: Options) -> Source:
    listing = _open_source(path, _FLAGS[split], options.labels)
    print(printable(_describe(listing, path)), flush=True)
    if isinstance(listing.reader, image_sources.FileReader):
        reader = dataclasses.replace(listing.reader, reading=options.reading())
        listing = dataclasses.replace(listing, reader=reader)
    return listing


def _open_source(path: Path, flag: str, labels: str) -> Source:
    kind = file_listing.kind(path)
    if kind == "folder":
        return image_sources.list_folder(path, labels)
    if kind is None:
        raise UserError(f"{flag}={path} does not exist")
    if path.suffix.lower() == ".npz":
        return npz_source.list_npz(path, labels)
    if path.suffix.lower() == ".zip":
        return archives.list_zip(path, labels)
    raise UserError(f"{flag}={path} is neither a folder nor a .zip nor an .npz")


def _describe(listing: Source, source: Path) -> str:
    names = listing.class_names
    classes = "no labels" if names is None else f"{len(names)} classes ({_first(names)})"
    said = f"{source}: {len(listing.entries)} images, {classes}"
    if listing.by_content:
        said += f"; {len(listing.by_content)} are images by their content, not their ending"
        said += f" ({_first(listing.by_content)})"
    if listing.ignored:
        more = ", ..." * (listing.ignored > len(listing.ignored_names))
        some = f" ({', '.join(listing.ignored_names)}{more})" if listing.ignored_names else ""
        said += f"; {listing.ignored} files of other kinds are ignored{some}"
    return said


def _first(names: Sequence[str]) -> str:
    return f"{', '.join(names[:10])}{', ...' * (len(names) > 10)}"


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
            f"{named['test']} has classes that {named['train']} lacks: {_first(unknown)} (it has "
            f"{_first(train.class_names)}). Give both the same names, or choose --labels=none to "
            "leave out the labels of both"
        )
    entries = [Entry(entry.name, ids[test.class_names[entry.label]]) for entry in test.entries]
    return dataclasses.replace(test, entries=entries, class_names=train.class_names)


def _plan(listings: dict[str, Source], sources: dict[str, Path], options: Options) -> writer.Plan:
    train = listings["train"]
    kind = _Kind.of(train, sources["train"], options.channels)
    target = options.target(kind.channels)
    return writer.Plan(
        image_shape=target.shape,
        encoding=target.encoding,
        class_names=train.class_names,
        source=", ".join(map(str, sources.values())),
        # Without a test source this is the train source's own: such conversions can continue.
        source_identity="\ntest ".join(listing.identity for listing in listings.values()),
        tool="tools.convert_images",
        flags=target.flags | options.flags() | {"labels": options.labels},
        jobs=[
            job
            for split in listings
            for job in _jobs(listings[split], split, (target, options.min_size, kind))
        ],
    )


def _jobs(listing: Source, split: str, how: tuple) -> Iterator[writer.ShardJob]:
    # Both sources may have a file of the same name. The flag tells them apart; a path would not
    # do, because the plan does not depend on it.
    of = "" if split == "train" else f" of {_FLAGS[split]}"
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
    options = converter_flags.read_options(Options)
    finished = convert(path("source"), output_dir, options, path("test_source"))
    print(printable(finished.summary(output_dir)))


def _define_flags() -> None:
    flags.DEFINE_string("source", None, "folder, .zip or .npz", required=True)
    flags.DEFINE_string("test_source", None, "the same for a split named test")
    flags.DEFINE_enum(
        "channels", "auto", ["auto", "grey", "colour"], "auto: as the first readable image"
    )
    flags.DEFINE_enum(
        "labels", "auto", ["auto", "folders", "none"],
        "auto: class folders if there are two or more, or the `labels` of an .npz",
    )  # fmt: skip
    converter_flags.define(image_size=None, crop="center")


if __name__ == "__main__":
    _define_flags()
    command_line.run(main)
