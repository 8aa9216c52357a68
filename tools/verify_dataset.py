"""Reads a converted data set from end to end, says what is wrong with it, and shows it.

    python -m tools.verify_dataset --dataset_dir=data/hwdb

Every checksum, record, image, label and metadata file is compared with the manifest. Prints what is
wrong, what the set holds and, as the last line, whether it is sound; the exit status is 0 if it is
and 1 if not. A contact sheet of some of its images is written beside the set, where it replaces an
earlier one and nothing else.
"""

import dataclasses
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import tqdm
from absl import flags

from lsgan_tf.datasets import process_pool
from lsgan_tf.datasets.manifest import Manifest
from lsgan_tf.utils import command_line, files
from lsgan_tf.utils.errors import UserError
from tools.verifying import contact_sheet, dataset_report, layout_check, shard_check
from tools.verifying.dataset_report import shown
from tools.verifying.faults import Faults
from tools.verifying.shard_check import Context, ShardReport, Statistics

_MAX_NAME_BYTES = 230  # file systems take 255, and atomic writes add to the name


@dataclasses.dataclass(frozen=True)
class Findings:
    """What is known of a data set once all of it has been read."""

    faults: Faults
    notes: list[str]  # unusual, but not wrong
    statistics: Statistics  # of the sound records
    sheet: bytes | None  # a PNG; None: there is no image to show
    seconds: float


def verify(
    directory: Path, contents: Manifest, font: contact_sheet.Font, *, processes: int
) -> Findings:
    """Checks the data set in `directory` against its manifest.

    The workers are spawned and import the caller's main module.

    Args:
        directory: a complete data set.
        contents: its manifest, see `layout_check.load_manifest`.
        font: for the contact sheet.
        processes: worker processes; each holds one record at a time.

    Raises:
        UserError: a worker process was killed.
    """
    started = time.monotonic()
    faults = Faults()
    notes = layout_check.check(directory, contents, faults)
    choice = contact_sheet.Choice.of(contents)
    statistics, gallery = Statistics.empty(contents), contact_sheet.Gallery(choice)
    by_shard: dict[int, Faults] = {}
    for report in _reports(directory, contents, choice, processes):
        by_shard[report.number] = report.faults
        statistics.merge(report.statistics)
        gallery.merge(report.gallery)
    for number in sorted(by_shard):  # they come in any order
        faults.extend(by_shard[number])
    seconds = time.monotonic() - started
    sheet = contact_sheet.draw(gallery, choice, contents, font)
    return Findings(faults, notes, statistics, sheet, seconds)


def _reports(
    directory: Path, contents: Manifest, choice: contact_sheet.Choice, processes: int
) -> Iterator[ShardReport]:
    """Yields the report of each shard as it comes, and shows the progress."""
    context = Context(directory, contents, choice)
    tasks = [
        process_pool.Task(shard_check.check_shard, (number, context))
        for number in range(len(contents.shards))
    ]
    total = sum(shard.count for shard in contents.shards)
    with tqdm.tqdm(total=total, unit="image", desc=shown(directory.name)) as bar:
        try:
            yield from process_pool.run(tasks, processes, bar)
        except UserError as error:  # whose advice is for conversions
            raise UserError(
                f"a worker process died while it read {directory}: it was killed, perhaps for lack "
                "of memory, or crashed on a damaged image. Fewer --processes need less memory."
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
        raise _not_writable(path, f"{path.parent} is no directory, or not a writable one")
    if len(os.fsencode(path.name)) > _MAX_NAME_BYTES:
        raise _not_writable(path, "its name is too long")
    if not chosen and _is_foreign(path):
        raise UserError(
            f"{path}, where the contact sheet would go, is not one that verify_dataset drew, so it "
            "is not replaced. Move it, or choose another place with --contact_sheet=PATH.png; a "
            "file that is named there is replaced, whatever it holds."
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
        "a .png to write, in place of whatever is there; default: <dataset_dir>.png, which only "
        "takes the place of an earlier contact sheet",
    )  # fmt: skip
    flags.DEFINE_string(
        "font", None, "font file for class names that DejaVu Sans lacks, such as Chinese characters"
    )
    flags.DEFINE_integer("processes", os.cpu_count(), "worker processes", 1)


if __name__ == "__main__":
    _define_flags()
    command_line.run(main)
