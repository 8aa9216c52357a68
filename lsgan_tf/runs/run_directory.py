"""The run directory: what it keeps, under which names, and how that is written and read."""

import contextlib
import dataclasses
import importlib.metadata
import json
import operator
import os
from pathlib import Path

import filelock
import numpy as np

from lsgan_tf.config import CONFIG_FILE, RECIPE_FILE, Config, differences
from lsgan_tf.utils import files, images
from lsgan_tf.utils.errors import UserError

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Data:
    """What a run must remember of its data set to sample and export without it."""

    image_shape: tuple[int, ...]
    num_examples: int
    class_names: tuple[str, ...] | None
    fingerprint: str

    @classmethod
    def of(cls, dataset):
        return cls(
            dataset.image_shape, dataset.num_examples, dataset.class_names, dataset.fingerprint
        )

    @classmethod
    def from_json(cls, stored):
        """Reads what `dataclasses.asdict` gave and JSON kept; TypeError if it is something else."""
        names = stored["class_names"]
        if names is not None and not all(isinstance(name, str) for name in names):
            raise TypeError("class_names must be strings")
        image_shape = tuple(map(operator.index, stored["image_shape"]))
        if len(image_shape) != 3:
            raise TypeError("image_shape must have 3 numbers: height, width, channels")
        return cls(
            image_shape,
            operator.index(stored["num_examples"]),
            None if names is None else tuple(names),
            stored["fingerprint"],
        )


@dataclasses.dataclass(frozen=True)
class Best:
    """The checkpoint that scored best so far."""

    step: int
    score: str  # a name of `metrics.scores.BETTER`
    value: float
    protocol: str  # a digest of what the value depends on


class Run:
    """A directory of one training run.

    RUN/config.json  recipe.flags  reals.png  samples/STEP.png  samples/latents.npy
        metrics.jsonl  scores.jsonl  best.json  gallery.html  events.out.tfevents.*  checkpoints/
        export/1/
    """

    def __init__(self, directory):
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

    def read(self):
        """The run's (`Config`, `Data`).

        Raises:
          UserError: if there is no run here, or its config.json is damaged or of another format.
        """
        stored = self._read_config()
        return (
            Config(**{**stored["config"], "run_dir": str(self.directory)}),
            Data.from_json(stored["data"]),
        )

    def _read_config(self):
        """config.json, checked: its "config" has the fields of `Config`, its "data" of `Data`."""
        try:
            stored = json.loads(self._config.read_text(encoding="utf-8"))
            if stored["format"] != FORMAT:
                raise UserError(
                    f"{self._config} has format {stored['format']}; this version reads {FORMAT}."
                )
            _check_types(stored["config"], Config)
            Data.from_json(stored["data"])
            operator.index(stored.get("replicas", 1))
        except FileNotFoundError as error:
            raise UserError(
                f"{self.directory} is not a run directory (no config.json). "
                "Train one with python -m lsgan_tf.train."
            ) from error
        except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
            raise UserError(f"{self._config} is damaged: {error!r}.") from error
        return stored

    @contextlib.contextmanager
    def locked(self):
        """Holds the directory for one trainer; the lock goes with the process, however it ends.

        Raises:
          UserError: if another trainer holds it.
        """
        _make(self.directory)
        lock = filelock.FileLock(self.directory / ".lock", timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise UserError(
                f"Another trainer is at work in {self.directory}. Wait for it, or choose another "
                "--run_dir."
            ) from error
        except OSError as error:
            raise files.write_error(error, self.directory / ".lock") from error
        try:
            yield
        finally:
            lock.release()

    def claim(self, config, data, replicas=1):
        """Writes what the run is, and on how many replicas it runs.

        Raises:
          UserError: if it cannot be written.
        """
        for directory in (self.directory, self.samples, self.checkpoints):
            _make(directory)
        packages = ("tensorflow", "keras", "numpy", "tensorflow-datasets")
        stored = {
            "format": FORMAT,
            "config": dataclasses.asdict(config),
            "data": dataclasses.asdict(data),
            "replicas": replicas,
            "versions": {name: importlib.metadata.version(name) for name in packages},
        }
        files.write_bytes(self._config, _json_bytes(stored, indent=2))
        files.write_bytes(self.recipe, config.to_flagfile().encode())

    def check(self, config, data, replicas=1, allow_change=False):
        """Makes sure that this is the run that is here already, if there is one.

        Prints the flags that differ and may, and what another number of replicas means.

        Raises:
          UserError: if the directory holds a run of other flags or data, listing each difference.
        """
        if not self._config.exists():
            return
        stored = self._read_config()
        kept = dataclasses.asdict(Config(**stored["config"]))  # an older run's lacks newer flags
        changed, free = differences(kept, dataclasses.asdict(config))
        for name, (old, new) in free.items():
            if name not in ("run_dir", "data_dir"):
                print(f"resuming with --{name}={new} (was {old})")
        old_data, new_data = stored["data"], json.loads(_json_bytes(dataclasses.asdict(data)))
        changed |= {
            f"data set's {name}": (old_data.get(name), new_data[name])
            for name in new_data
            if old_data.get(name) != new_data[name]
        }
        before = stored.get("replicas", replicas)
        if before != replicas and config.sync_batch_norm:
            print(
                f"resuming on {_replicas(replicas)} (was {before}): the state, the batches and the "
                "latents are the same; sums are rounded in another order, so the weights agree "
                "with those of an unchanged run to rounding, not bit for bit"
            )
        elif before != replicas:
            changed["replicas, which matter with --nosync_batch_norm"] = (before, replicas)
        if not changed:
            return
        lines = "\n".join(f"  {name}: was {old}, is {new}" for name, (old, new) in changed.items())
        if not allow_change:
            raise UserError(
                f"{self.directory} holds a run of other flags:\n{lines}\nChoose another --run_dir, "
                "give the same flags, or pass --allow_config_change to go on with the new ones."
            )
        print(f"resuming with changed flags:\n{lines}")

    def sample_latents(self, drawn):
        """The latents of the sample grid: those drawn, at the first call, and the same ever after.

        Raises:
          UserError: if the file that keeps them is damaged or of another shape.
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

    def write_reals(self, picture):
        """Writes reals.png from uint8 [H, W, C]."""
        files.write_bytes(self.directory / "reals.png", images.encode_png(picture))

    def write_sample(self, step, picture):
        """Writes samples/STEP.png from uint8 [H, W, C]; returns its path."""
        path = self.samples / f"{step:07d}.png"
        files.write_bytes(path, images.encode_png(picture))
        return path

    def append_metrics(self, record):
        """Adds one JSON line to metrics.jsonl."""
        _append(self.metrics, [record])

    def append_scores(self, records):
        """Adds a JSON line each to scores.jsonl."""
        _append(self.scores, records)

    def read_metrics(self):
        """The lines of metrics.jsonl as dictionaries, each with its "step"."""
        return list(_lines(self.metrics).values())

    def read_scores(self):
        """The lines of scores.jsonl as dictionaries, each with its "step" (None of real images)."""
        return list(_lines(self.scores).values())

    def forget_after(self, step):
        """Drops the metrics and scores of steps that a resumed run will do again, and torn lines:
        a line appears complete only with its end. What was best of such steps is forgotten, too."""
        for path in (self.metrics, self.scores):
            if path.exists():
                kept = [raw for raw, line in _lines(path).items() if (line["step"] or 0) <= step]
                files.write_bytes(path, b"".join(kept))
        best = self.best()
        if best is not None and best.step > step:  # its checkpoint was lost, or will be another
            self._best.unlink()

    def best(self):
        """What `write_best` was given last, or None.

        Raises:
          UserError: if best.json is damaged.
        """
        try:
            stored = json.loads(self._best.read_bytes())
            step, value = operator.index(stored["step"]), float(stored["value"])
            return Best(step, str(stored["score"]), value, str(stored["protocol"]))
        except FileNotFoundError:
            return None
        except (
            ArithmeticError,
            LookupError,
            ValueError,
            TypeError,
            OSError,
            RecursionError,
        ) as error:
            raise UserError(
                f"{self._best} is damaged: {error!r}. Remove it; the next evaluation of the run "
                "then writes it anew."
            ) from error

    def write_best(self, best):
        """Keeps which checkpoint scored best."""
        files.write_bytes(self._best, _json_bytes(dataclasses.asdict(best)))


def _replicas(count):
    return f"{count} replica{'s' if count > 1 else ''}"


def _append(path, records):
    try:
        with open(path, "ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # somebody died in the middle of a line
                    file.write(b"\n")
            file.write(b"".join(_json_bytes(record) + b"\n" for record in records))
    except OSError as error:
        raise files.write_error(error, path) from error


def _lines(path):
    """{line: what it says} of a file of JSON lines that have a step, without torn ones."""
    lines = {}
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    if content:
        for raw in content.splitlines(keepends=True):
            with contextlib.suppress(ValueError, RecursionError):
                line = json.loads(raw)
                if isinstance(line, dict) and isinstance(line.get("step", ""), int | None):
                    lines[raw.rstrip(b"\n") + b"\n"] = line
    return lines


def _check_types(stored, config):
    """TypeError unless `stored` has values of the types of a dataclass' fields; a field that an
    older version did not have may be missing, it then has its default."""
    types = {field.name: field.type for field in dataclasses.fields(config)}
    if not isinstance(stored, dict) or not stored or not stored.keys() <= types.keys():
        raise TypeError(f"its config must have fields among {', '.join(types)}")
    for name, value in stored.items():
        whole_for_float = types[name] is float and type(value) is int
        if type(value) is not types[name] and not whole_for_float:
            raise TypeError(f"{name} must be of type {types[name].__name__}")


def _make(directory):
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"Cannot make the run directory {directory}: {error}.") from error


def _json_bytes(value, indent=None):
    return json.dumps(value, indent=indent, ensure_ascii=False).encode()
