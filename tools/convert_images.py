"""Turns a folder of images, a zip of one, or an .npz into a data set that training reads.

    python -m tools.convert_images --source=photos --output_dir=data/photos --image_size=64

--source is a folder of images, a folder per class, a zip of either, or an .npz with `images`
(uint8 [N, H, W] or [N, H, W, C]) and, optionally, integer `labels` [N] and unicode `class_names`.
A conversion that was interrupted continues when the same command is run again.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from lsgan_tf import command
from lsgan_tf.datasets import manifest, pictures, records
from lsgan_tf.errors import UserError, printable
from tools import _converter_flags
from tools.sources import file_listing, image_sources, npz_source, zip_source
from tools.sources.image_sources import Entry, Reader, Source


@dataclasses.dataclass(frozen=True)
class Options:
    """How to convert; the flags of the command."""

    image_size: int  # side of the square, pixels
    crop: str = "none"  # "none": resized straight to the square; "center": its middle square
    channels: str = "auto"  # "auto": as the first readable image; "grey"; "colour"
    encoding: str = "png"  # or "jpeg"
    labels: str = "auto"  # "auto", "folders" or "none"
    max_bad: int = 0
    processes: int = 1


def convert(source: Path, output_dir: Path, options: Options) -> manifest.Manifest:
    """Converts `source` into a data set at `output_dir`.

    Raises:
        UserError: the source cannot be used, more than `max_bad` of its images cannot be used,
            or as `records.write` does.
    """
    output_dir = records.check_target(output_dir)
    listing = _open_source(source, options.labels)
    print(printable(_describe(listing, source)), flush=True)
    plan = _plan(listing, source, options)
    return records.write(output_dir, plan, processes=options.processes, max_bad=options.max_bad)


def _open_source(source: Path, labels: str) -> Source:
    kind = file_listing.kind(source)
    if kind == "folder":
        return image_sources.folder(source, labels)
    if kind is None:
        raise UserError(f"--source={source} does not exist")
    if source.suffix.lower() == ".npz":
        return npz_source.arrays(source, labels)
    if source.suffix.lower() == ".zip":
        return zip_source.zipped(source, labels)
    raise UserError(f"--source={source} is neither a folder nor a .zip nor an .npz")


def _describe(listing: Source, source: Path) -> str:
    names = listing.class_names
    classes = "no labels"
    if names is not None:
        classes = f"{len(names)} classes ({', '.join(names[:10])}{', ...' * (len(names) > 10)})"
    ignored = f"; {listing.ignored} files of other kinds are ignored" if listing.ignored else ""
    return f"{source}: {len(listing.entries)} images, {classes}{ignored}"


def _plan(listing: Source, source: Path, options: Options) -> records.Plan:
    kind = _Kind.of(listing, source, options.channels)
    target = pictures.Target(options.image_size, kind.channels, options.crop, options.encoding)
    bounds = records.shard_bounds(len(listing.entries))
    return records.Plan(
        image_shape=target.shape,
        encoding=target.encoding,
        class_names=listing.class_names,
        source=str(source),
        source_identity=listing.identity,
        tool="tools.convert_images",
        flags=dataclasses.asdict(target) | {"labels": options.labels},
        jobs=[
            records.ShardJob(
                _produce, (listing.reader, listing.entries[start:stop], target, kind), stop - start
            )
            for start, stop in bounds
        ],
    )


@dataclasses.dataclass(frozen=True)
class _Kind:
    """Grey or colour, and the image that decided it if no flag did."""

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

    def check(self, entry: Entry, image) -> None:
        """Raises `UserError` if `image` is of the other kind and no flag says what to do."""
        if self.decided_by is None or pictures.is_grey(image) == (self.channels == 1):
            return
        names = ("grey", "in colour") if self.channels == 1 else ("in colour", "grey")
        raise UserError(
            f"{self.decided_by} is {names[0]}, {entry.name} is {names[1]}. Choose --channels=grey "
            "or --channels=colour for all."
        )


def _produce(
    reader: Reader, entries: Sequence[Entry], target: pictures.Target, kind: _Kind
) -> Iterator[records.Record | records.Skipped]:
    for entry, image in reader.read(entries):
        if isinstance(image, pictures.BadImage):
            yield records.Skipped(entry.name, str(image))
            continue
        kind.check(entry, image)
        yield records.Record(target.encode(image), entry.label)


def main() -> None:
    source, output_dir = _converter_flags.path("source"), _converter_flags.path("output_dir")
    done = convert(source, output_dir, _converter_flags.options(Options))
    print(printable(done.summary(output_dir)))


def _define_flags() -> None:
    flags.DEFINE_string("source", None, "folder, .zip or .npz", required=True)
    flags.DEFINE_enum(
        "channels", "auto", ["auto", "grey", "colour"], "auto: as the first readable image"
    )
    flags.DEFINE_enum(
        "labels", "auto", ["auto", "folders", "none"],
        "auto: class folders if there are two or more, or the `labels` of an .npz",
    )  # fmt: skip
    _converter_flags.define(image_size=None)


if __name__ == "__main__":
    _define_flags()
    command.run(main)
