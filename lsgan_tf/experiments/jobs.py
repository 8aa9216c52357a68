"""The runs of a row: their directories, and what is needed before they can start."""

import contextlib
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import filelock

from lsgan_tf.datasets import manifest
from lsgan_tf.experiments import processes, results
from lsgan_tf.experiments.row import CLASSIFIER, MIXTURE, Cell, Row
from lsgan_tf.runs import json_lines
from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.layout import with_tools
from lsgan_tf.utils.signals import StopRequest

_INCEPTION = "inception-2015"  # is downloaded


class Places(NamedTuple):
    """Where things are on this machine."""

    data_dir: Path
    runs_dir: Path
    results: Path  # results.csv; logs/ and results/ are beside it


class Job(NamedTuple):
    """What one process trains: a run, or all seeds of a mixture that share a graph."""

    row: Row
    cell: Cell
    seeds: tuple[int, ...]
    steps: int
    directory: Path

    @property
    def name(self) -> str:
        """The name in messages, ROW/CELL-SEED."""
        return f"{self.row.name}/{self.directory.name}"

    @property
    def log(self) -> Path:
        """What its commands print."""
        return self.directory.with_name(f"{self.directory.name}.log")

    def thinned_log(self, seed: int) -> str:
        """Where the thinned log of a run is, relative to the results."""
        return f"logs/{self.row.name}/{self.cell.name}-{seed}{_suffix(self.row, self.steps)}.jsonl"


def of_row(row: Row, seeds: int, steps: int, runs_dir: Path) -> list[Job]:
    """The jobs of the seeds 0 to `seeds` - 1 of all cells; the first seed of each cell comes first.

    Runs of another length than the row's have directories of their own.
    """
    together = row.seeds_at_once if row.runner == MIXTURE else 1
    suffix = _suffix(row, steps)
    jobs = []
    for start in range(0, seeds, together):
        group = tuple(range(start, min(start + together, seeds)))
        name = str(start) if together == 1 else f"{start}-{group[-1]}"
        for cell in row.cells:
            directory = runs_dir / row.name / f"{cell.name}-{name}{suffix}"
            jobs.append(Job(row, cell, group, steps, directory))
    return jobs


def _suffix(row, steps):
    return "" if steps == row.steps else f"-steps{steps}"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Yields whether this process holds the lock file now; another one may."""
    files.make_parent(path)
    lock = filelock.FileLock(path, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        yield False
        return
    except OSError as error:
        raise files.write_error(error, path) from error
    try:
        yield True
    finally:
        lock.release()


def check_data(row: Row, data_dir: Path) -> None:
    """Checks that the data set and the feature networks of a row are there.

    Raises:
        UserError: one is missing; says how to get it.
    """
    if row.prepare and not (data_dir / row.dataset / manifest.FILE_NAME).is_file():
        command = with_tools(row.prepare).replace("DATA_DIR", str(data_dir)).strip()
        raise UserError(
            f"row {row.name} needs the data set {row.dataset}, which is not in {data_dir}. "
            f"Make it with\n  {command}\nor say with --data_dir where it is."
        )
    for protocol in (row.protocol, row.also):
        if protocol and protocol.features not in (CLASSIFIER, _INCEPTION):
            path = _network(row, protocol.features, data_dir)
            if not path.exists():
                raise UserError(
                    f"row {row.name} is scored with the features of {path}, which is missing. Put "
                    "a SavedModel there: images float32 [N, H, W, 3] in 0..255 -> features [N, D]."
                )


def make_classifier(row: Row, data_dir: Path, log: Path, stop: StopRequest) -> None:
    """Trains the classifier of the row's data set, if it is asked for and is not there; one process
    does."""
    if CLASSIFIER not in (of.features for of in (row.protocol, row.also) if of):
        return
    path = _network(row, CLASSIFIER, data_dir)
    with _waiting(path.with_name(f".{row.dataset}.lock"), stop):
        if not path.with_suffix(".json").is_file():
            print(f"training the classifier of {row.dataset}: {path}", flush=True)
            arguments = [f"--dataset={row.dataset}", f"--data_dir={data_dir}"]
            arguments.append(f"--epochs={row.classifier_epochs}")
            processes.run("train_classifier", arguments, log, stop)


def check_networks(row: Row, steps: int, places: Places) -> None:
    """Checks that the feature networks here are those that scored the row's other runs.

    Raises:
        UserError: one is another, so that new scores would not compare.
    """
    lines = results.read(places.results)
    lines = [line for line in lines if (line.row, line.steps) == (row.name, steps)]
    _check_network(row, row.protocol, [(line.run, line.protocol) for line in lines], places)
    also = [(line.run, line.protocol.get("also", {})) for line in lines]
    _check_network(row, row.also, also, places)


def _check_network(row, protocol, told, places):
    if not told or protocol is None or protocol.features == _INCEPTION:
        return
    path = _network(row, protocol.features, places.data_dir)
    here = _sha256(path)
    for run, facts in told:
        there = facts.get("sha256")
        if here != there:
            raise UserError(
                f"{run} in {places.results} was scored with features of sha256 {there}; "
                f"{path} is {here}. Their scores do not compare: begin a table of your own with "
                "--results=OTHER.csv, or put the network of the former runs there."
            )


def _sha256(path):
    """As scores have it: of a classifier without starting TensorFlow."""
    facts = path.with_suffix(".json")
    if not facts.is_file():
        return files.sha256_of(path)
    try:
        return json.loads(facts.read_bytes())["sha256"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{facts} is damaged ({error!r}). Train it again: python -m lsgan_tf.train_classifier "
            f"--dataset={path.stem} --data_dir={path.parent.parent}"
        ) from error


def _network(row, features, data_dir):
    """The file or folder of a feature network, but for one that is downloaded."""
    if features == CLASSIFIER:
        return data_dir / "classifiers" / f"{row.dataset}.keras"
    return data_dir / "features" / features


@contextlib.contextmanager
def _waiting(path, stop):
    """Holds a lock file, for which it waits."""
    while True:
        with locked(path) as held:
            if held:
                yield
                return
        if stop.received:
            raise processes.Stopped
        time.sleep(1)


def write_json_lines(path: Path, records: Iterable[dict]) -> None:
    """Writes a file of JSON lines atomically."""
    files.make_parent(path)
    files.write_bytes(path, b"".join(json_lines.encode(record) + b"\n" for record in records))
