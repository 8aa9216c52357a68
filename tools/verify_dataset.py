"""Checks a converted data set, reports all its faults, and draws some of its images.

    python -m tools.verify_dataset --dataset_dir=data/hwdb

Reads every record and compares checksums, images, labels and metadata files with the manifest.
Prints what the set holds, its faults and, as the last line, whether it is sound; the exit status is
0 if it is and 1 if not. A contact sheet of some of its images is written beside the set, where
it replaces an earlier contact sheet but no other file.
"""

import dataclasses
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from absl import flags

from lsgan_tf.datasets import process_pool
from lsgan_tf.datasets.manifest import Manifest
from lsgan_tf.utils import command_line, files, progress
from lsgan_tf.utils.errors import UserError

from .verifying import contact_sheet, dataset_report, layout_check, shard_check
from .verifying.dataset_report import shown
from .verifying.faults import Faults
from .verifying.shard_check import ShardReport, Statistics

_MAX_NAME_BYTES = 230  # file systems take 255, and atomic writes add to the name


@dataclasses.dataclass(frozen=True)
class Findings:
    """The result of checking a data set."""

    faults: Faults
    notes: list[str]  # what is unusual without being a fault
    statistics: Statistics  # of the sound records
    sheet: bytes | None  # a PNG; None: there is no sound image
    seconds: float


def verify(
    directory: Path, contents: Manifest, font: contact_sheet.Font, *, processes: int
) -> Findings:
    """Checks the data set in `directory` against its manifest.

    The processes of the pool are spawned and import the caller's main module.

    Args:
        directory: a complete data set.
        contents: its manifest, see `layout_check.load_manifest`.
        font: for the contact sheet.
        processes: size of the pool; each process holds one record at a time.

    Raises:
        UserError: a process of the pool was killed.
    """
    started = time.monotonic()
    faults = Faults()
    notes = layout_check.check(directory, contents, faults)
    statistics, gallery = Statistics.empty(contents), contact_sheet.Gallery.of(contents)
    by_shard: dict[int, Faults] = {}
    for report in _reports(directory, contents, processes):
        by_shard[report.number] = report.faults
        statistics.merge(report.statistics)
        gallery.merge(report.gallery)
    for number in sorted(by_shard):  # reports come in any order
        faults.extend(by_shard[number])
    seconds = time.monotonic() - started
    sheet = contact_sheet.draw(gallery, max(contents.image_shape[:2]), font)
    return Findings(faults, notes, statistics, sheet, seconds)


def _reports(directory: Path, contents: Manifest, processes: int) -> Iterator[ShardReport]:
    """Yields the reports of the shards in any order, and shows the progress."""
    tasks = [
        process_pool.Task(shard_check.check_shard, (number, directory, contents))
        for number in range(len(contents.shards))
    ]
    total = sum(shard.count for shard in contents.shards)
    with progress.bar(total=total, unit="image", desc=shown(directory.name)) as bar:
        try:
            yield from process_pool.run(tasks, processes, bar)
        except UserError as error:  # its advice is for conversions
            raise UserError(
                f"a process of the pool died while it read {directory}: it was killed, perhaps for "
                "lack of memory, or crashed on a damaged image. Fewer --processes need less memory."
            ) from error


def _sheet_path(directory: Path, chosen: str | None) -> Path:
    """Where the contact sheet goes; raises `UserError` if nothing can be written there."""
    absolute = Path(os.path.abspath(directory))
    path = Path(chosen) if chosen else absolute.with_name(f"{absolute.name}.png")
    if path.suffix.lower() != ".png":
        raise UserError(f"--contact_sheet={path} must end in .png")
    if os.path.isdir(path):
        raise UserError(f"--contact_sheet={path} is a directory; it must be a file's name")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise _not_writable(path, f"{path.parent} is not a directory, or is not writable")
    if len(os.fsencode(path.name)) > _MAX_NAME_BYTES:
        raise _not_writable(path, "its name is too long")
    if not chosen and _is_foreign(path):
        raise UserError(
            f"{path}, where the contact sheet would go, is not one that verify_dataset drew, so it "
            "is not replaced. Move it, or choose another place with --contact_sheet=PATH.png: what "
            "is there is replaced."
        )
    return path


def _not_writable(path: Path, why: str) -> UserError:
    return UserError(
        f"the contact sheet {path} cannot be written: {why}. Choose another place with "
        "--contact_sheet=PATH.png"
    )


def _is_foreign(path: Path) -> bool:
    try:
        return os.path.lexists(path) and not contact_sheet.is_sheet(path)
    except OSError:
        return True


def main() -> None:
    values = flags.FLAGS.flag_values_dict()
    directory = Path(values["dataset_dir"])
    contents = layout_check.load_manifest(directory)
    sheet = _sheet_path(directory, values["contact_sheet"])
    font = contact_sheet.Font(Path(values["font"]) if values["font"] else None)
    findings = verify(directory, contents, font, processes=values["processes"])
    report = dataset_report.lines(directory, contents, findings.statistics, findings.seconds)
    print("\n".join(report))
    if findings.sheet is not None:
        files.write_bytes(sheet, findings.sheet)
        print(f"  sheet       {shown(str(sheet))}")
    print("\n".join(dataset_report.verdict(findings.faults, findings.notes, findings.statistics)))
    sys.exit(1 if findings.faults.count else 0)


def _define_flags() -> None:
    flags.DEFINE_string("dataset_dir", None, "the data set: DATA_DIR/NAME", required=True)
    flags.DEFINE_string(
        "contact_sheet", None,
        "the .png to write; replaces what is there. Default: <dataset_dir>.png, which replaces "
        "only an earlier contact sheet",
    )  # fmt: skip
    flags.DEFINE_string(
        "font", None, "font file for class names that DejaVu Sans cannot show, such as Chinese ones"
    )
    flags.DEFINE_integer("processes", os.cpu_count(), "how many processes read at the same time", 1)


if __name__ == "__main__":
    _define_flags()
    command_line.run(main)
