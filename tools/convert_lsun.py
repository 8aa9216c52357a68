"""Turns an LSUN scene, an LMDB of photographs, into a data set that training reads.

    python -m tools.convert_lsun --lmdb_dir=bedroom_train_lmdb --output_dir=data/lsun_bedroom

--lmdb_dir (or --source) is the LMDB's folder, or the zip of it as LSUN distributes it, which is
unpacked beside the output until the conversion is finished. Several, separated by commas, become a
class each, named as they are: church_outdoor_train_lmdb.zip is church_outdoor. Photographs are
resized to the square without cropping, as the authors of the paper did; --crop=center takes the
middle square instead. --val_fraction=0.1 makes the split "test" of a tenth, as for convert_images.
An interrupted conversion continues when the same command is run again.
"""

import dataclasses
import hashlib
import itertools
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from lsgan_tf.datasets import manifest, pictures, process_pool, shards, writer
from lsgan_tf.datasets.catalog import TRAIN
from lsgan_tf.utils import command_line, progress
from lsgan_tf.utils.errors import UserError, printable

from . import converter_flags, picture_options
from .picture_options import PictureOptions
from .sources import lmdb_source, lmdb_zip, shares
from .sources.contents import Contents

_STEP = 256  # entries: every so many a shard can begin


@dataclasses.dataclass(frozen=True)
class Options(PictureOptions):
    """How to convert; the flags of the command."""

    image_size: int = 112  # side of the square, pixels
    crop: str = "none"  # "none": resized straight to the square; "center": its middle square; "pad"
    encoding: str = "png"  # or "jpeg"
    max_images: int = 0  # of each --lmdb_dir, the first in the order of the keys; 0: all
    val_fraction: float = 0.0  # of these: becomes the split "test"
    max_bad: int | str = 0  # so many, or a share: "1%"
    processes: int = 1
    scratch_dir: Path | None = None  # for unpacking a zip; None: beside the output


@dataclasses.dataclass(frozen=True)
class _Lmdb:
    """One of the sources."""

    split: str
    path: Path
    file: Path  # the zip, or the file of the LMDB
    label: int | None

    @property
    def is_zip(self) -> bool:
        return lmdb_zip.is_zip(self.path)


@dataclasses.dataclass(frozen=True)
class _Listed:
    """An LMDB whose keys are read."""

    lmdb: _Lmdb
    file: Path  # of the LMDB, unpacked
    count: int  # entries to convert
    listing: lmdb_source.Listing  # with the key of every so many
    identity: str


def convert(
    lmdb_dirs: Sequence[Path], output_dir: Path, options: Options, val_lmdbs: Sequence[Path] = ()
) -> manifest.Manifest:
    """Converts the LMDBs (or their zips) at `lmdb_dirs` into the data set at `output_dir`.

    Args:
        lmdb_dirs: become the split "train"; if there are several, each is a class.
        output_dir: as for `writer.write`.
        options: how.
        val_lmdbs: become the split "validation"; classes are matched by name.

    Raises:
        UserError: an LMDB cannot be used, two are the same or have the same name, `scratch_dir`
            lies in `output_dir`, a share is to be held out beside `val_lmdbs` or leaves a split
            empty, more than `max_bad` of the images cannot be used, or as `writer.write` does.
    """
    output_dir = writer.check_target(output_dir)
    scratch = _scratch(output_dir, options.scratch_dir)
    class_names = _class_names(lmdb_dirs, val_lmdbs)
    lmdbs = _found(lmdb_dirs, val_lmdbs, class_names)
    if options.val_fraction:
        shares.check_undivided([one.split for one in lmdbs], "--val_lmdb")
    plan = _plan_without_jobs(lmdbs, class_names, options)
    finished = _finished(output_dir, plan)
    if finished and all(one.is_zip for one in lmdbs):
        # LMDBs that are not zipped are listed again below, to see whether they have changed.
        shutil.rmtree(output_dir / shards.SCRATCH_DIRECTORY, ignore_errors=True)
    else:
        listed = [_listed(one, scratch, class_names, options) for one in lmdbs]
        identity = "".join(one.identity for one in listed)
        plan = dataclasses.replace(
            plan, source_identity=identity, jobs=list(_jobs(listed, options))
        )
        finished = writer.write(
            output_dir, plan, processes=options.processes, max_bad=options.max_bad
        )
    shutil.rmtree(scratch, ignore_errors=True)
    return finished


def _class_names(lmdb_dirs: Sequence[Path], val_lmdbs: Sequence[Path]) -> tuple[str, ...] | None:
    """One for each LMDB, in their order; None if there is but one."""
    if not lmdb_dirs:
        raise UserError("--lmdb_dir is empty: give it an LMDB's folder or zip, or several")
    if len(lmdb_dirs) == 1 and len(val_lmdbs) <= 1:
        return None
    for flag, paths in (("--lmdb_dir", lmdb_dirs), ("--val_lmdb", val_lmdbs)):
        for name, times in Counter(map(_class_name, paths)).items():
            if times > 1:
                first, second = [path for path in paths if _class_name(path) == name][:2]
                raise UserError(
                    f"{flag}: {first} and {second} would both be the class {name!r}. Rename one, "
                    "for a class has the name of its file"
                )
    names = tuple(map(_class_name, lmdb_dirs))
    for path in val_lmdbs:
        if _class_name(path) not in names:
            raise UserError(
                f"--val_lmdb={path} would be the class {_class_name(path)!r}, which --lmdb_dir "
                f"lacks (it has {', '.join(names)}). Rename it like one of them"
            )
    return names


def _class_name(path: Path) -> str:
    """Of church_outdoor_train_lmdb.zip, of its folder or of the data.mdb in it: church_outdoor."""
    path = Path(os.path.abspath(path))
    path = path.parent if path.name == "data.mdb" else path
    name = path.name.removesuffix(path.suffix) if path.suffix in (".zip", ".mdb") else path.name
    return re.sub(r"(_(train|val))?(_lmdb)?$", "", name) or name


def _found(
    lmdb_dirs: Sequence[Path], val_lmdbs: Sequence[Path], class_names: tuple[str, ...] | None
) -> list[_Lmdb]:
    lmdbs = []
    for split, paths in ((TRAIN, lmdb_dirs), ("validation", val_lmdbs)):
        for path in paths:
            file = path if lmdb_zip.is_zip(path) else lmdb_source.find_data_file(path)
            label = class_names.index(_class_name(path)) if class_names else None
            lmdbs.append(_Lmdb(split, path, file, label))
    for one, other in itertools.combinations(lmdbs, 2):
        if one.file.samefile(other.file):
            flag = "val_lmdb" if other.split == "validation" else "lmdb_dir"
            raise UserError(f"--{flag}={other.path} is the same as --lmdb_dir; pass another LMDB")
    return lmdbs


def _scratch(output_dir: Path, parent: Path | None) -> Path:
    """Where the zips for `output_dir`, a resolved path, are unpacked; unique to this output."""
    if parent and Path(os.path.realpath(parent)).is_relative_to(output_dir):
        raise UserError(
            f"--scratch_dir={parent} lies in --output_dir={output_dir}. Choose a directory outside"
        )
    digest = hashlib.sha256(os.fsencode(output_dir)).hexdigest()[:8]
    return (parent or output_dir.parent) / f".{output_dir.name}.{digest}.unpacked"


def _plan_without_jobs(
    lmdbs: Sequence[_Lmdb], class_names: tuple[str, ...] | None, options: Options
) -> writer.Plan:
    target = options.target(channels=3)
    # LMDBs that are not zipped are identified by their listing.
    said = [(one, lmdb_zip.describe(one.path) if one.is_zip else "LMDB") for one in lmdbs]
    sources = {
        one.split if class_names is None else f"{one.split} {class_names[one.label]}": what
        for one, what in said
    }
    return writer.Plan(
        image_shape=target.shape,
        encoding=target.encoding,
        class_names=class_names,
        source=", ".join(str(one.path) for one in lmdbs),
        source_identity="",
        tool="tools.convert_lsun",
        flags=target.flags
        | _changed(options)
        | ({"val_fraction": options.val_fraction} if options.val_fraction else {})
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


def _listed(
    one: _Lmdb, scratch: Path, class_names: tuple[str, ...] | None, options: Options
) -> _Listed:
    """Unpacks an LMDB, if it is a zip, and reads its keys."""
    file = lmdb_zip.unpack(one.path, scratch) if one.is_zip else one.file
    total = lmdb_source.count_entries(file)
    count = min(options.max_images, total) if options.max_images and one.split == TRAIN else total
    what = f"the class {class_names[one.label]!r} of " if class_names else ""
    print(
        f"{manifest.text(str(one.path))}: {total} images, {count} of them become {what}the split "
        f"{one.split!r}",
        flush=True,
    )
    changed = "" if one.is_zip else file.stat().st_mtime_ns
    listing = list_keys(file, range(0, count, _STEP), count, options.val_fraction > 0)
    return _Listed(one, file, count, listing, f"{one.split} {total} {listing.identity} {changed}\n")


def _jobs(listed: Sequence[_Listed], options: Options) -> Iterator[writer.ShardJob]:
    for split, one, numbers in _divided(listed, options.val_fraction):
        for start, stop in writer.shard_bounds(len(numbers)):
            part = numbers[start:stop]
            step = part[0] // _STEP
            begin = one.listing.starts[step], step * _STEP
            arguments = (one.lmdb.path, one.file, *begin, part, one.lmdb.label, options)
            yield writer.ShardJob(_produce, arguments, stop - start, split)


def _divided(
    listed: Sequence[_Listed], fraction: float
) -> Iterator[tuple[str, _Listed, Sequence[int]]]:
    """Yields which entries of which LMDB belong to which split."""
    if not fraction:
        yield from ((one.lmdb.split, one, range(one.count)) for one in listed)
        return
    joined = Contents.joined([one.listing.contents for one in listed])
    for split, numbers in shares.divide(joined, fraction).items():
        first = 0
        for one in listed:
            its = numbers[(first <= numbers) & (numbers < first + one.count)] - first
            if len(its):
                yield split, one, its
            first += one.count


def list_keys(
    file: Path, positions: Sequence[int], count: int, read_contents: bool = False
) -> lmdb_source.Listing:
    """The keys at these positions of the first `count`, read by a process of the pool."""
    task = process_pool.Task(lmdb_source.list_keys, (file, positions, count, read_contents))
    with progress.bar(total=count, unit="key", desc="listing", leave=False) as bar:
        (listing,) = process_pool.run([task], 1, bar)
    return listing


def _produce(
    source: Path,
    file: Path,
    key: bytes,
    first: int,
    numbers: Sequence[int],
    label: int | None,
    options: Options,
) -> Iterator[writer.Record | writer.Skipped | writer.LeftOut]:
    """Converts the entries of these numbers, of which `key` has a lower one, `first`."""
    target, reading = options.target(channels=3), options.reading()
    wanted = frozenset(numbers)
    for value in lmdb_source.read_values(file, key, first, int(numbers[-1]) + 1 - first):
        if value.number not in wanted:
            continue
        where = f"{source}, entry {value.number}, key {_printable_key(value.key)}"
        try:
            if value.data is None:
                raise pictures.BadImage(f"its {value.size} bytes are too many for a picture")
            image = pictures.decode(value.data, reading)
            yield picture_options.record(image, where, target, options.min_size, label)
        except pictures.BadImage as bad:
            yield writer.Skipped(where, str(bad))


def _printable_key(key: bytes) -> str:
    text = key[:100].decode("ascii", "backslashreplace")
    return text if text.isprintable() else key[:100].hex()


def main() -> None:
    path, several = converter_flags.read_path, converter_flags.split_sources
    options = converter_flags.read_options(Options, scratch_dir=path("scratch_dir"))
    output_dir = path("output_dir")
    lmdb_dirs, val_lmdbs = (
        several(flags.FLAGS[name].value or ()) for name in ("lmdb_dir", "val_lmdb")
    )
    finished = convert(lmdb_dirs, output_dir, options, val_lmdbs)
    print(printable(finished.summary(output_dir)))


def _define_flags() -> None:
    flags.DEFINE_multi_string(
        "lmdb_dir", None,
        "folder of the LMDB, or its zip; several, which become classes: separated by commas, or "
        "repeat the flag",
        required=True,
    )  # fmt: skip
    flags.DEFINE_alias("source", "lmdb_dir")
    flags.DEFINE_multi_string("val_lmdb", None, "the same for a split named validation")
    flags.DEFINE_integer(
        "max_images", 0, "use the first of each --lmdb_dir in the order of the keys; 0: all", 0
    )
    flags.DEFINE_string("scratch_dir", None, "where to unpack a zip; default: beside --output_dir")
    converter_flags.define(image_size=112, crop="none")


if __name__ == "__main__":
    _define_flags()
    command_line.run(main)
