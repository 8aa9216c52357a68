"""Checkpoints of everything that training changes: saved atomically, restored if sound."""

import os
import re
import shutil
from pathlib import Path

import keras
import tensorflow as tf

from lsgan_tf.utils.errors import UserError

# A checkpoint is step-N.index and step-N.data-*; while it is written, the names begin with
# unfinished-N. It exists once it has its index, which is renamed last.
_INDEX = re.compile(r"step-(\d+)\.index")
_DATA = re.compile(r"step-(\d+)\.data-.*")
_UNFINISHED = "unfinished-"
_FULL_DISK = re.compile(r"No space left on device|File too large|Disk quota exceeded")

# TensorFlow raises nearly any exception on a truncated or altered checkpoint, or one of another
# program.
_ANY_DAMAGE = Exception


def available(directory: str | Path) -> list[int]:
    """The steps of the complete checkpoints in a directory, in rising order."""
    matches = (_INDEX.fullmatch(path.name) for path in Path(directory).glob("step-*.index"))
    return sorted(int(match.group(1)) for match in matches if match)


class Checkpoints:
    """Saves and restores a compiled GAN: networks, averages, optimizers and the step.

    The data and the latents are functions of (seed, step), so this is all of a run's state.

    Args:
        gan: a compiled `gan.model.GAN`.
        directory: where the checkpoints are.
        keep: number of checkpoints to keep.

    Attributes:
        best: the step of a checkpoint to keep as well, or None.
    """

    def __init__(self, gan, directory: str | Path, keep: int):
        self._directory = Path(directory)
        self._gan = gan
        self._keep = keep
        self.best: int | None = None
        average = {} if gan.generator_ema is None else {"generator_ema": gan.generator_ema}
        self._checkpoint = tf.train.Checkpoint(
            generator=gan.generator,
            discriminator=gan.discriminator,
            generator_optimizer=gan.generator_optimizer,
            discriminator_optimizer=gan.discriminator_optimizer,
            step=gan.step.value,
            **average,
        )

    def save(self) -> None:
        """Writes a checkpoint of the current step, then removes the oldest beyond `keep`, except
        the best.

        It is written under another name and renamed when it is on the disk: a process that is
        killed or a full disk leaves the earlier ones intact at any moment.

        Raises:
            UserError: it cannot be written; the disk is full, for example.
        """
        step = int(self._gan.step.numpy())
        try:
            self._write(step)
        except (tf.errors.OpError, OSError) as error:
            _remove_unfinished(self._directory)
            kept = available(self._directory)
            raise UserError(
                f"The checkpoint of step {step} could not be written to {self._directory} "
                f"({reason(error)}). "
                + (f"That of step {kept[-1]} is intact. " if kept else "There is no earlier one. ")
                + "Make room, then start the same command again."
            ) from error
        # Checkpoints of later steps are damaged ones that the resumed run skipped: not counted.
        earlier = [old for old in available(self._directory) if old <= step]
        for old in earlier[: -self._keep]:
            if old != self.best:
                (self._directory / f"step-{old}.index").unlink(missing_ok=True)
        _remove_unfinished(self._directory)

    def _write(self, step: int) -> None:
        name = f"{_UNFINISHED}{step}"
        self._checkpoint.write(str(self._directory / name))
        # The index is last: with it the checkpoint exists.
        for part in (*self._directory.glob(f"{name}.data-*"), self._directory / f"{name}.index"):
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            part.rename(part.with_name(part.name.replace(name, f"step-{step}", 1)))

    def restore_latest(self) -> int:
        """Restores the newest sound checkpoint; a damaged one is skipped with a warning.

        Returns:
            Its step; 0 if there are no checkpoints.

        Raises:
            UserError: none of the checkpoints can be read, or a sound one is of other networks or
                optimizers.
        """
        _remove_unfinished(self._directory)
        steps = available(self._directory)
        for step in reversed(steps):
            prefix = _prefix(self._directory, step)
            try:
                self._checkpoint.read(prefix).assert_consumed()
                return step
            except _ANY_DAMAGE as error:
                if _is_sound(prefix):
                    raise UserError(
                        f"Checkpoint {prefix} is of other networks or optimizers than these flags "
                        "make; nothing was changed. Give the run's own flags, or choose another "
                        "--run_dir."
                    ) from error
                _warn_of_damage(prefix, error)
        if steps:
            raise UserError(
                f"None of the checkpoints in {self._directory} (steps {steps}) can be read. "
                "Remove them to start again from the first step."
            )
        return 0


def restore_generator(
    generator: keras.Model,
    directory: str | Path,
    *,
    checkpoint: str = "latest",
    weights: str = "raw",
) -> int:
    """Restores a generator alone, for sampling and export.

    Args:
        generator: a network as the run built it.
        directory: the run's checkpoints.
        checkpoint: a step, or "latest": the newest that can be read.
        weights: "raw", or "ema" for the averaged ones.

    Returns:
        The step of the checkpoint.

    Raises:
        UserError: that checkpoint or those weights do not exist or cannot be read.
    """
    name = {"raw": "generator", "ema": "generator_ema"}[weights]
    return restore_networks({name: generator}, directory, checkpoint=checkpoint)


def restore_networks(
    networks: dict[str, keras.Model],
    directory: str | Path,
    *,
    checkpoint: str = "latest",
    flag: str = "--checkpoint=",
) -> int:
    """Restores networks of a run without its optimizers.

    Args:
        networks: as the run built them, by their names in `Checkpoints`: "generator",
            "discriminator" or "generator_ema".
        directory: as of `restore_generator`, with what it returns and raises.
        checkpoint: the same.
        flag: what the user writes before a step, for messages.
    """
    steps = available(directory)
    if not steps:
        raise UserError(f"There is no checkpoint in {directory} yet. Train a little longer.")
    wanted = steps[::-1] if checkpoint == "latest" else [_parse_step(checkpoint, flag)]
    if wanted[0] not in steps:
        raise UserError(
            f"There is no checkpoint of step {wanted[0]} in {directory}; there are: {steps}."
        )
    for step in wanted:
        prefix = _prefix(directory, step)
        try:
            status = tf.train.Checkpoint(**networks).read(prefix)
            status.assert_existing_objects_matched().expect_partial()
            return step
        except _ANY_DAMAGE as error:
            if len(wanted) > 1:
                _warn_of_damage(prefix, error)
    raise UserError(
        f"Checkpoint {_prefix(directory, wanted[0])} cannot be read. "
        f"Choose another with {flag}STEP; there are: {steps}."
    )


def _is_sound(prefix: str) -> bool:
    """Whether every byte of a checkpoint is there and matches its checksum."""
    try:
        reader = tf.train.load_checkpoint(prefix)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except _ANY_DAMAGE:
        return False
    return True


def _remove_unfinished(directory: Path) -> None:
    """Removes files of saves that failed or were killed, and data files without an index."""
    for path in directory.glob(f"{_UNFINISHED}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    complete = available(directory)
    for path in directory.glob("step-*.data-*"):
        match = _DATA.fullmatch(path.name)
        if match and int(match.group(1)) not in complete:
            path.unlink(missing_ok=True)


def _prefix(directory: str | Path, step: int) -> str:
    return str(Path(directory) / f"step-{step}")


def _parse_step(text: str, flag: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise UserError(f"{flag}{text} is neither a step nor 'latest' nor 'best'.") from error


def _warn_of_damage(prefix: str, error: Exception) -> None:
    print(f"warning: checkpoint {prefix} is damaged ({reason(error)}); trying the one before.")


def reason(error: Exception) -> str:
    """One short line of an error; that of a full disk is deep inside TensorFlow's message."""
    full_disk = _FULL_DISK.search(str(error))
    if full_disk:
        return full_disk.group()
    return str(error).strip().split("\n", 1)[0][:200] or type(error).__name__
