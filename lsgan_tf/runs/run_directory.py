"""The run directory: what it keeps, under which names, and how that is written and read."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from lsgan_tf.config import CONFIG_FILE, RECIPE_FILE, Config, differences
from lsgan_tf.runs import json_lines, surroundings
from lsgan_tf.utils import files, images, typed_json
from lsgan_tf.utils.errors import UserError

FORMAT = 1
_SAMPLED_STEP = re.compile("[0-9]{7}|[1-9][0-9]{7,17}")


@dataclasses.dataclass(frozen=True)
class DataFacts:
    """What a run must remember of its data set to sample and export without it."""

    image_shape: tuple[int, int, int]  # height, width, channels
    num_examples: int
    class_names: tuple[str, ...] | None  # None: no labels
    fingerprint: str

    def __post_init__(self):
        if min(self.image_shape) < 1:
            raise ValueError(f"image_shape {self.image_shape} is of no image")

    @classmethod
    def of(cls, dataset) -> "DataFacts":
        """The facts of a `datasets.dataset.Dataset`."""
        names = dataset.class_names
        return cls(
            tuple(dataset.image_shape),
            dataset.num_examples,
            None if names is None else tuple(names),
            dataset.fingerprint,
        )


@dataclasses.dataclass(frozen=True)
class Best:
    """The checkpoint that scored best so far: the content of best.json."""

    step: int
    score: str  # a name of `score_directions.BETTER`
    value: float
    protocol: str  # a digest of what the value depends on


@dataclasses.dataclass(frozen=True)
class _Stored:
    """The content of config.json. An older run lacks newer flags, and what has a default here."""

    format: int
    config: Config
    data: DataFacts
    replicas: int | None = None
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    numerics: dict[str, str] = dataclasses.field(default_factory=dict)  # of `devices.numerics`
    data_path: str | None = None  # the data_dir of the config, absolute


class Run:
    """A directory of one training run.

    RUN/config.json  recipe.flags  reals.png  samples/STEP.png  samples/latents.npy
        metrics.jsonl  scores.jsonl  best.json  gallery.html  events.out.tfevents.*  checkpoints/
        export/1/  export/model_card.md  export/generator-1.*

    Args:
        directory: where it is; it need not exist yet.
    """

    def __init__(self, directory: str | Path):
        self.directory = Path(directory)
        self.checkpoints = self.directory / "checkpoints"
        self.samples = self.directory / "samples"
        self.exports = self.directory / "export"
        self.metrics = self.directory / "metrics.jsonl"
        self.scores = self.directory / "scores.jsonl"
        self.gallery = self.directory / "gallery.html"
        self.recipe = self.directory / RECIPE_FILE
        self._config = self.directory / CONFIG_FILE
        self._latents = self.samples / "latents.npy"
        self._best = self.directory / "best.json"

    def read(self) -> tuple[Config, DataFacts]:
        """Reads config.json; `run_dir` of the `Config` is where the run is now, and `data_dir`
        leads to its data from the working directory, if they are where they were.

        Raises:
            UserError: there is no run here, or its config.json is damaged or of another format.
        """
        stored = self._read_config()
        data_dir = surroundings.locate(stored.config.data_dir, stored.data_path)
        here = dataclasses.replace(stored.config, run_dir=str(self.directory), data_dir=data_dir)
        return here, stored.data

    @property
    def name(self) -> str:
        """The name of the directory itself, for titles."""
        return os.path.basename(os.path.abspath(self.directory))

    def exists(self) -> bool:
        """Whether there is a run here."""
        return self._config.exists()

    def _read_config(self) -> _Stored:
        try:
            content = typed_json.load(self._config, dict[str, Any])
        except FileNotFoundError as error:
            raise UserError(
                f"{self.directory} is not a run directory (no config.json). "
                "Train one with python -m lsgan_tf.train."
            ) from error
        if content.get("format", FORMAT) != FORMAT:
            raise UserError(
                f"{self._config} has format {content['format']}; this version reads {FORMAT}."
            )
        return typed_json.parse(content, _Stored, self._config)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the directory for one trainer; the lock ends with the process, however that ends.

        Raises:
            UserError: another trainer holds it, or the lock file cannot be written.
        """
        _make(self.directory)
        lock = filelock.FileLock(self.directory / ".lock", timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise UserError(
                f"Another trainer is running in {self.directory}. Wait for it to end, or choose "
                "another --run_dir."
            ) from error
        except OSError as error:
            raise files.write_error(error, self.directory / ".lock") from error
        try:
            yield
        finally:
            lock.release()

    def claim(
        self,
        config: Config,
        data: DataFacts,
        replicas: int = 1,
        numerics: dict[str, str] | None = None,
    ) -> None:
        """Makes the run's directories and writes config.json and recipe.flags.

        Args:
            config: the resolved flags.
            data: facts of the data set.
            replicas: how many replicas the run has now.
            numerics: what rounds its sums now, see `training.devices.numerics`.

        Raises:
            UserError: a file cannot be written.
        """
        for directory in (self.directory, self.samples, self.checkpoints):
            _make(directory)
        path, versions = os.path.abspath(config.data_dir), surroundings.versions()
        stored = _Stored(FORMAT, config, data, replicas, versions, numerics or {}, path)
        files.write_bytes(self._config, json_lines.encode(dataclasses.asdict(stored), indent=2))
        files.write_bytes(self.recipe, config.to_flagfile().encode())

    def check(
        self,
        config: Config,
        data: DataFacts,
        replicas: int = 1,
        allow_change: bool = False,
        numerics: dict[str, str] | None = None,
    ) -> None:
        """Checks that a run that is here already is the one that these flags describe.

        Prints the flags that differ and may, and what another number of replicas, other libraries
        or another machine mean.

        Args:
            config: the resolved flags.
            data: facts of the data set.
            replicas: how many replicas the run has now.
            allow_change: only prints the differences that are otherwise refused.
            numerics: as of `claim`.

        Raises:
            UserError: the directory holds a run of other flags or data; lists each difference.
        """
        if not self.exists():
            return
        stored = self._read_config()
        old_flags, new_flags = dataclasses.asdict(stored.config), dataclasses.asdict(config)
        changed, free = differences(old_flags, new_flags)
        for name, (old, new) in free.items():
            if name not in ("run_dir", "data_dir"):
                print(f"resuming with --{name}={new} (was {old})")
        old_data, new_data = dataclasses.asdict(stored.data), dataclasses.asdict(data)
        changed |= {
            f"data set's {name}": (old_data[name], new_data[name])
            for name in new_data
            if old_data[name] != new_data[name]
        }
        before = replicas if stored.replicas is None else stored.replicas
        if before != replicas and config.sync_batch_norm:
            print(
                f"resuming on {_replicas(replicas)} (was {before}): the state, the batches and the "
                "latents are the same; sums are rounded in another order, so the weights agree "
                "with those of an unchanged run to rounding, not bit for bit"
            )
        elif before != replicas:
            changed["replicas, which matter with --nosync_batch_norm"] = (before, replicas)
        surroundings.warn_of_changes(stored.versions | stored.numerics, numerics or {})
        if not changed:
            return
        lines = "\n".join(f"  {name}: was {old}, is {new}" for name, (old, new) in changed.items())
        if not allow_change:
            raise UserError(
                f"{self.directory} holds a run of other flags:\n{lines}\nChoose another --run_dir, "
                "give the same flags, or pass --allow_config_change to go on with the new ones."
            )
        print(f"resuming with changed flags:\n{lines}")

    def sample_latents(self, drawn: np.ndarray) -> np.ndarray:
        """The latents of the sample grid: stores `drawn` at the first call, returns what is stored.

        Raises:
            UserError: samples/latents.npy is damaged or of another shape.
        """
        if not self._latents.exists():
            with files.replacing(self._latents) as file:
                np.save(file, drawn, allow_pickle=False)
        try:
            kept = np.load(self._latents, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            kept = error
        if getattr(kept, "shape", None) != drawn.shape or kept.dtype != drawn.dtype:
            raise UserError(
                f"{self._latents} is damaged: it does not hold {drawn.dtype} {drawn.shape}. "
                "Remove it to draw new latents."
            )
        return kept

    def write_reals(self, picture: np.ndarray) -> None:
        """Writes reals.png from uint8 [H, W, C]."""
        files.write_bytes(self.directory / "reals.png", images.encode_png(picture))

    def sample_path(self, step: int) -> Path:
        """Where the sample grid of a step is."""
        return self.samples / f"{step:07d}.png"

    def list_sampled_steps(self) -> list[int]:
        """The steps that have a file samples/STEP.png, in order; nothing is read from it."""
        names = (path.stem for path in self.samples.glob("*.png"))
        return sorted(int(name) for name in names if _SAMPLED_STEP.fullmatch(name))

    def write_sample(self, step: int, picture: np.ndarray) -> Path:
        """Writes samples/STEP.png from uint8 [H, W, C]; returns its path."""
        path = self.sample_path(step)
        files.write_bytes(path, images.encode_png(picture))
        return path

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Adds one JSON line to metrics.jsonl."""
        json_lines.append(self.metrics, [record])

    def append_scores(self, records: Iterable[dict[str, Any]]) -> None:
        """Adds one JSON line for each record to scores.jsonl."""
        json_lines.append(self.scores, records)

    def read_metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl as dictionaries, each with its "step"."""
        return list(json_lines.read(self.metrics).values())

    def read_scores(self) -> list[dict[str, Any]]:
        """The lines of scores.jsonl as dictionaries, each with its "step" (None: real images)."""
        return list(json_lines.read(self.scores).values())

    def forget_after(self, step: int) -> None:
        """Drops the metrics, the scores and the best checkpoint of steps after `step`, which a
        resumed run repeats, and truncated lines."""
        for path in (self.metrics, self.scores):
            if path.exists():
                lines = json_lines.read(path).items()
                kept = [raw for raw, line in lines if (line["step"] or 0) <= step]
                files.write_bytes(path, b"".join(kept))
        best = self.best()
        if best is not None and best.step > step:  # its checkpoint is lost or will be overwritten
            self._best.unlink()

    def best(self) -> Best | None:
        """Reads what `write_best` wrote last; None if there is nothing.

        Raises:
            UserError: best.json is damaged.
        """
        try:
            return typed_json.load(self._best, Best)
        except FileNotFoundError:
            return None
        except typed_json.InvalidJson as error:
            raise UserError(
                f"{error} Remove it; the next evaluation of the run then writes it again."
            ) from error

    def write_best(self, best: Best) -> None:
        """Records which checkpoint scored best."""
        files.write_bytes(self._best, json_lines.encode(dataclasses.asdict(best)))


def _replicas(count: int) -> str:
    return f"{count} replica{'s' if count > 1 else ''}"


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"Cannot make the run directory {directory}: {error}.") from error
