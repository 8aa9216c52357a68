"""The run directory: the only place that knows its file names."""

import contextlib
import dataclasses
import importlib.metadata
import json
from pathlib import Path

import filelock
import numpy as np

from lsgan_tf import atomic, images
from lsgan_tf.config import Config, differences
from lsgan_tf.errors import UserError

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Data:
    """What a run must remember of its data set to sample and export without it."""

    image_shape: tuple[int, int, int]
    num_examples: int
    class_names: tuple[str, ...] | None
    fingerprint: str

    @classmethod
    def of(cls, dataset):
        return cls(
            dataset.image_shape, dataset.num_examples, dataset.class_names, dataset.fingerprint
        )


class Run:
    """A directory of one training run.

    RUN/config.json  recipe.flags  reals.png  samples/STEP.png  samples/latents.npy
        metrics.jsonl  events.out.tfevents.*  checkpoints/  export/1/
    """

    def __init__(self, directory):
        self.directory = Path(directory)
        self.checkpoints = self.directory / "checkpoints"
        self.samples = self.directory / "samples"
        self.exports = self.directory / "export"
        self.metrics = self.directory / "metrics.jsonl"
        self.recipe = self.directory / "recipe.flags"
        self._config = self.directory / "config.json"
        self._latents = self.samples / "latents.npy"

    def read(self):
        """The run's (`Config`, `Data`).

        Raises:
          UserError: if there is no run here, or its config.json is damaged or of another format.
        """
        stored = self._read_config()
        data = stored["data"]
        names = data["class_names"]
        fields = {field.name for field in dataclasses.fields(Config)}
        config = {name: value for name, value in stored["config"].items() if name in fields}
        return (
            Config(**{**config, "run_dir": str(self.directory)}),
            Data(
                tuple(data["image_shape"]),
                data["num_examples"],
                None if names is None else tuple(names),
                data["fingerprint"],
            ),
        )

    def _read_config(self):
        try:
            stored = json.loads(self._config.read_text(encoding="utf-8"))
            found = stored["format"]
            _ = stored["config"], stored["data"]
        except FileNotFoundError as error:
            raise UserError(
                f"{self.directory} is not a run directory (no config.json). "
                "Train one with python -m lsgan_tf.train."
            ) from error
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise UserError(f"{self._config} is damaged: {error!r}.") from error
        if found != FORMAT:
            raise UserError(f"{self._config} has format {found}; this version reads {FORMAT}.")
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
        try:
            yield
        finally:
            lock.release()

    def claim(self, config, data, allow_change=False):
        """Writes what the run is, or checks that it is the run that is here already.

        Prints the flags that differ and may.

        Raises:
          UserError: if the directory holds a run of other flags or data, listing each difference.
        """
        for directory in (self.directory, self.samples, self.checkpoints):
            _make(directory)
        if self._config.exists():
            self._check_unchanged(config, data, allow_change)
        packages = ("tensorflow", "keras", "numpy", "tensorflow-datasets")
        stored = {
            "format": FORMAT,
            "config": dataclasses.asdict(config),
            "data": dataclasses.asdict(data),
            "versions": {name: importlib.metadata.version(name) for name in packages},
        }
        atomic.write_bytes(self._config, _json_bytes(stored, indent=2))
        atomic.write_bytes(self.recipe, config.to_flagfile().encode())

    def _check_unchanged(self, config, data, allow_change):
        stored = self._read_config()
        changed, free = differences(stored["config"], dataclasses.asdict(config))
        for name, (old, new) in free.items():
            if name not in ("run_dir", "data_dir"):
                print(f"resuming with --{name}={new} (was {old})")
        old_data, new_data = stored["data"], json.loads(_json_bytes(dataclasses.asdict(data)))
        changed |= {
            f"data set's {name}": (old_data.get(name), new_data[name])
            for name in new_data
            if old_data.get(name) != new_data[name]
        }
        if not changed:
            return
        lines = "\n".join(f"  {name}: was {old}, is {new}" for name, (old, new) in changed.items())
        if not allow_change:
            raise UserError(
                f"{self.directory} holds a run of other flags:\n{lines}\nChoose another --run_dir, "
                "give the same flags, or pass --allow_config_change to go on with the new ones."
            )
        print(f"resuming with changed flags:\n{lines}")

    def sample_latents(self, draw):
        """The latents of the sample grid: `draw()` at the first call, the same ever after."""
        if not self._latents.exists():
            with atomic.replacing(self._latents) as file:
                np.save(file, draw(), allow_pickle=False)
        try:
            return np.load(self._latents, allow_pickle=False)
        except (ValueError, OSError) as error:
            raise UserError(
                f"{self._latents} is damaged ({error}). Remove it to draw new latents."
            ) from error

    def write_reals(self, picture):
        """Writes reals.png from uint8 [H, W, C]."""
        atomic.write_bytes(self.directory / "reals.png", images.encode_png(picture))

    def write_sample(self, step, picture):
        """Writes samples/STEP.png from uint8 [H, W, C]; returns its path."""
        path = self.samples / f"{step:07d}.png"
        atomic.write_bytes(path, images.encode_png(picture))
        return path

    def append_metrics(self, record):
        """Adds one JSON line to metrics.jsonl."""
        with open(self.metrics, "ab") as file:
            file.write(_json_bytes(record) + b"\n")

    def forget_metrics_after(self, step):
        """Drops the lines of steps that a resumed run will do again, and a torn last line."""
        if not self.metrics.exists():
            return
        kept = []
        for line in self.metrics.read_bytes().splitlines():
            with contextlib.suppress(ValueError, TypeError, KeyError):
                if json.loads(line)["step"] <= step:
                    kept.append(line + b"\n")
        atomic.write_bytes(self.metrics, b"".join(kept))


def _make(directory):
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"Cannot make the run directory {directory}: {error}.") from error


def _json_bytes(value, indent=None):
    return json.dumps(value, indent=indent, ensure_ascii=False).encode()
