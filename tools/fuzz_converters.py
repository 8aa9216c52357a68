"""Feeds converters with damaged and hostile input, and checks what becomes of every record.

    python -m tools.fuzz_converters --gnt_source=GNT_FOLDER --gnt=20000 --work_dir=NEW
    python -m tools.fuzz_converters --lmdb_source=LMDB --lmdb=5000 --lmdb_pages=200 --work_dir=NEW

The sources are small and sound. --gnt files are made of a few of their records each and mutated,
so are --lmdb values, which are put among sound ones; both are converted in batches by the commands
themselves. What must come out is known from how the input was made: every sound record with its
label, its writer and its pixels; everything else is reported where it is, nothing sound is. A
conversion must not fail, hang, print a traceback or exceed its limits. --lmdb_pages is the number
of LMDBs whose tree is damaged: each must become a data set or be refused in words.
Exit status 1 says that a check failed; the input is then kept in --work_dir, and the same --seed
makes it again.
"""

from collections.abc import Callable
from pathlib import Path

from absl import flags

from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError
from tools.fuzzing import batches, gnt_fuzz, lmdb_fuzz, lmdb_page_fuzz

_GNT_SOURCE = flags.DEFINE_string("gnt_source", None, "Folder of sound .gnt files.")
_LMDB_SOURCE = flags.DEFINE_string("lmdb_source", None, "Folder of a sound LMDB.")
_WORK_DIR = flags.DEFINE_string("work_dir", None, "New directory.", required=True)
_GNT = flags.DEFINE_integer("gnt", 0, "How many .gnt files to mutate.", 0)
_LMDB = flags.DEFINE_integer("lmdb", 0, "How many values of LMDBs to mutate.", 0)
_LMDB_PAGES = flags.DEFINE_integer("lmdb_pages", 0, "How many LMDBs to damage the tree of.", 0)
_SEED = flags.DEFINE_integer("seed", 0, "Of the mutations.")
_BATCH = flags.DEFINE_integer("batch", 500, "How many to convert at once.", 1, 5000)
_SECONDS = flags.DEFINE_integer("seconds", 120, "How long one conversion may take.", 1)
_MEGABYTES = flags.DEFINE_integer("megabytes", 600, "How much memory it may need.", 1)


def main():
    for count, source, name in (
        (_GNT.value, _GNT_SOURCE.value, "gnt_source"),
        (_LMDB.value + _LMDB_PAGES.value, _LMDB_SOURCE.value, "lmdb_source"),
    ):
        if count and source is None:
            raise UserError(f"--{name} says what to mutate; it is missing")
    work = Path(_WORK_DIR.value)
    if work.exists() and any(work.iterdir()):
        raise UserError(f"--work_dir={work} is not empty; choose a new one.")
    limits = batches.Limits(_SECONDS.value, _MEGABYTES.value * 1_000_000)
    reports = []
    if _GNT.value:
        originals = gnt_fuzz.records_of(Path(_GNT_SOURCE.value))
        work.mkdir(parents=True, exist_ok=True)
        reports.append(_batches("gnt", _GNT.value, gnt_fuzz.fuzz, originals, work, limits))
    if _LMDB.value or _LMDB_PAGES.value:
        originals = lmdb_fuzz.values_of(Path(_LMDB_SOURCE.value))
        work.mkdir(parents=True, exist_ok=True)
    if _LMDB.value:
        reports.append(_batches("lmdb", _LMDB.value, lmdb_fuzz.fuzz, originals, work, limits))
    if _LMDB_PAGES.value:
        report = batches.Report()
        lmdb_page_fuzz.fuzz(originals, _LMDB_PAGES.value, _SEED.value, work, limits, report)
        print(report.totals("lmdb pages"), flush=True)
        reports.append(report)
    failures = sum(len(report.failures) for report in reports)
    if failures:
        raise UserError(f"--seed={_SEED.value}: {failures} checks failed; the input is in {work}")


def _batches(
    title: str,
    count: int,
    fuzz: Callable[..., None],
    originals: list,
    work: Path,
    limits: batches.Limits,
) -> batches.Report:
    report = batches.Report()
    for batch, start in enumerate(range(0, count, _BATCH.value)):
        size = min(_BATCH.value, count - start)
        fuzz(originals, batch, size, _SEED.value, work, limits, report)
        print(f"{title} {start + size} of {count}: {report.summary()}", flush=True)
    print(report.totals(title), flush=True)
    return report


if __name__ == "__main__":
    command_line.run(main)
