"""Turns an LSUN scene, an LMDB of photographs, into a data set that training reads.

    python -m tools.convert_lsun --lmdb_dir=bedroom_train_lmdb --output_dir=data/lsun_bedroom

--lmdb_dir is the LMDB's folder, or the zip of it as LSUN distributes it, which is unpacked beside
the output until the conversion is finished. Photographs are resized to the square without cropping,
as the authors of the paper did; --crop=center takes the middle square instead. An interrupted
conversion continues when the same command is run again.
"""

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import flags

from lsgan_tf.datasets import manifest, pictures, process_pool, shards, writer
from lsgan_tf.utils import command_line, progress
from lsgan_tf.utils.errors import UserError, printable

from . import converter_flags, picture_options
from .picture_options import PictureOptions
from .sources import lmdb_source, lmdb_zip


@dataclasses.dataclass(frozen=True)
class Options(PictureOptions):
    """How to convert; the flags of the command."""

    image_size: int = 112  # side of the square, pixels
    crop: str = "none"  # "none": resized straight to the square; "center": its middle square; "pad"
    encoding: str = "png"  # or "jpeg"
    max_images: int = 0  # of --lmdb_dir, the first in the order of the keys; 0: all
    max_bad: int | str = 0  # so many, or a share: "1%"
    processes: int = 1
    scratch_dir: Path | None = None  # for unpacking a zip; None: beside the output


def convert(
    lmdb_dir: Path, output_dir: Path, options: Options, val_lmdb: Path | None = None
) -> manifest.Manifest:
    """Converts the LMDB (or its zip) at `lmdb_dir` into the data set at `output_dir`.

    Args:
        lmdb_dir: becomes the split "train".
        output_dir: as for `writer.write`.
        options: how.
        val_lmdb: becomes the split "validation".

    Raises:
        UserError: an LMDB cannot be used, both are the same, `scratch_dir` lies in `output_dir`,
            more than `max_bad` of the images cannot be used, or as `writer.write` does.
    """
    output_dir = writer.check_target(output_dir)
    scratch = _scratch(output_dir, options.scratch_dir)
    splits = {"train": lmdb_dir} | ({"validation": val_lmdb} if val_lmdb else {})
    files = {name: _file(path) for name, path in splits.items()}
    if val_lmdb and files["train"].samefile(files["validation"]):
        raise UserError(f"--val_lmdb={val_lmdb} is the same as --lmdb_dir; pass another LMDB")
    plan = _plan_without_jobs(splits, options)
    finished = _finished(output_dir, plan)
    if finished and all(map(lmdb_zip.is_zip, splits.values())):
        # LMDBs that are not zipped are listed again below, to see whether they have changed.
        shutil.rmtree(output_dir / shards.SCRATCH_DIRECTORY, ignore_errors=True)
    else:
        for name, path in splits.items():
            file = lmdb_zip.unpack(path, scratch) if lmdb_zip.is_zip(path) else files[name]
            plan = _with_split(plan, name, path, file, options)
        finished = writer.write(
            output_dir, plan, processes=options.processes, max_bad=options.max_bad
        )
    shutil.rmtree(scratch, ignore_errors=True)
    return finished


def _scratch(output_dir: Path, parent: Path | None) -> Path:
    """Where the zips for `output_dir`, a resolved path, are unpacked; unique to this output."""
    if parent and Path(os.path.realpath(parent)).is_relative_to(output_dir):
        raise UserError(
            f"--scratch_dir={parent} lies in --output_dir={output_dir}. Choose a directory outside"
        )
    digest = hashlib.sha256(os.fsencode(output_dir)).hexdigest()[:8]
    return (parent or output_dir.parent) / f".{output_dir.name}.{digest}.unpacked"


def _file(path: Path) -> Path:
    return path if lmdb_zip.is_zip(path) else lmdb_source.find_data_file(path)


def _describe(path: Path) -> str:
    # LMDBs that are not zipped are identified by their listing.
    return lmdb_zip.describe(path) if lmdb_zip.is_zip(path) else "LMDB"


def _plan_without_jobs(splits: dict[str, Path], options: Options) -> writer.Plan:
    target = options.target(channels=3)
    sources = {name: _describe(path) for name, path in splits.items()}
    return writer.Plan(
        image_shape=target.shape,
        encoding=target.encoding,
        class_names=None,
        source=", ".join(map(str, splits.values())),
        source_identity="",
        tool="tools.convert_lsun",
        flags=target.flags
        | _changed(options)
        | {"max_images": options.max_images, "splits": sources},
        jobs=[],
    )


def _changed(options: Options) -> dict[str, Any]:
    """The flags that earlier versions lack, where they are used: these versions' sets go on."""
    defaults = PictureOptions().flags()
    return {name: value for name, value in options.flags().items() if value != defaults[name]}


def _finished(output_dir: Path, plan: writer.Plan) -> manifest.Manifest | None:
    """The finished set at `output_dir`, if there is one, made with the flags of `plan`.

    The flags identify the content of zips, which therefore need not be unpacked.

    Raises:
        UserError: the finished set was made with other flags.
    """
    if not (output_dir / manifest.FILE_NAME).exists():
        return None
    finished = manifest.load(output_dir)
    if (finished.tool, finished.flags) == (plan.tool, plan.flags):
        return finished
    raise writer.another_set(output_dir, finished)


def _with_split(
    plan: writer.Plan, split: str, path: Path, file: Path, options: Options
) -> writer.Plan:
    """The plan with the jobs of one more LMDB, which is at `file`."""
    total = lmdb_source.count_entries(file)
    count = min(options.max_images, total) if options.max_images and split == "train" else total
    print(
        f"{manifest.text(str(path))}: {total} images, {count} of them become the split {split!r}",
        flush=True,
    )
    bounds = writer.shard_bounds(count)
    changed = "" if lmdb_zip.is_zip(path) else file.stat().st_mtime_ns
    listing = list_keys(file, [start for start, _ in bounds], count)
    jobs = [
        writer.ShardJob(_produce, (path, file, key, start, stop, options), stop - start, split)
        for key, (start, stop) in zip(listing.starts, bounds, strict=True)
    ]
    identity = f"{plan.source_identity}{split} {total} {listing.identity} {changed}\n"
    return dataclasses.replace(plan, source_identity=identity, jobs=plan.jobs + jobs)


def list_keys(file: Path, positions: list[int], count: int) -> lmdb_source.Listing:
    """The keys at these positions of the first `count`, read by a process of the pool."""
    task = process_pool.Task(lmdb_source.list_keys, (file, positions, count))
    with progress.bar(total=count, unit="key", desc="listing", leave=False) as bar:
        (listing,) = process_pool.run([task], 1, bar)
    return listing


def _produce(
    source: Path, file: Path, key: bytes, start: int, stop: int, options: Options
) -> Iterator[writer.Record | writer.Skipped | writer.LeftOut]:
    target, reading = options.target(channels=3), options.reading()
    for value in lmdb_source.read_values(file, key, start, stop - start):
        where = f"{source}, entry {value.number}, key {_printable_key(value.key)}"
        try:
            if value.data is None:
                raise pictures.BadImage(f"its {value.size} bytes are too many for a picture")
            image = pictures.decode(value.data, reading)
            yield picture_options.record(image, where, target, options.min_size)
        except pictures.BadImage as bad:
            yield writer.Skipped(where, str(bad))


def _printable_key(key: bytes) -> str:
    text = key[:100].decode("ascii", "backslashreplace")
    return text if text.isprintable() else key[:100].hex()


def main() -> None:
    path = converter_flags.read_path
    options = converter_flags.read_options(Options, scratch_dir=path("scratch_dir"))
    output_dir = path("output_dir")
    finished = convert(path("lmdb_dir"), output_dir, options, path("val_lmdb"))
    print(printable(finished.summary(output_dir)))


def _define_flags() -> None:
    flags.DEFINE_string("lmdb_dir", None, "folder of the LMDB, or its zip", required=True)
    flags.DEFINE_string("val_lmdb", None, "the same for a split named validation")
    flags.DEFINE_integer(
        "max_images", 0, "use the first of --lmdb_dir in the order of the keys; 0: all", 0
    )
    flags.DEFINE_string("scratch_dir", None, "where to unpack a zip; default: beside --output_dir")
    converter_flags.define(image_size=112, crop="none")


if __name__ == "__main__":
    _define_flags()
    command_line.run(main)
