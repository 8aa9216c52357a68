"""Checkpoints of everything that training changes, and what to do when one is damaged."""

import re
from pathlib import Path

import tensorflow as tf

from lsgan_tf.errors import UserError

_INDEX = re.compile(r"step-(\d+)\.index")

# TensorFlow's readers raise about anything on a truncated, altered or foreign checkpoint.
_DAMAGE = Exception


def available(directory):
    """The steps of the complete checkpoints in a directory, in rising order.

    TensorFlow gives a checkpoint its `.index` file last, so one that has it was written whole.
    """
    names = (_INDEX.fullmatch(path.name) for path in Path(directory).glob("step-*.index"))
    return sorted(int(match.group(1)) for match in names if match)


class Checkpoints:
    """Saves and restores a compiled GAN: networks, averages, optimizers and the step.

    The data and the latents are functions of (seed, step), so this is all of a run's state.

    Args:
      gan: a compiled `GAN`.
      directory: where the checkpoints are.
      keep: number of checkpoints to keep.
    """

    def __init__(self, gan, directory, keep):
        self._directory = Path(directory)
        self._gan = gan
        self._checkpoint = tf.train.Checkpoint(
            **_networks(gan),
            discriminator=gan.discriminator,
            generator_optimizer=gan.generator_optimizer,
            discriminator_optimizer=gan.discriminator_optimizer,
            step=gan.step.value,
        )
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(directory), max_to_keep=keep, checkpoint_name="step"
        )

    def save(self):
        """Writes a checkpoint of the current step; the ones before stay until it is complete.

        Raises:
          UserError: if it cannot be written, for want of space for example.
        """
        step = int(self._gan.step.numpy())
        try:
            self._manager.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            self._remove_unfinished()
            kept = available(self._directory)
            raise UserError(
                f"The checkpoint of step {step} could not be written to {self._directory} "
                f"({_first_line(error)}). "
                + (f"That of step {kept[-1]} is intact. " if kept else "There is none before. ")
                + "Make room, then start the same command again."
            ) from error

    def restore_latest(self):
        """Restores the newest sound checkpoint and returns its step; 0 if there is none at all.

        A damaged one is passed over, with a message, for the one before.

        Raises:
          UserError: if there are checkpoints and none of them can be read.
        """
        self._remove_unfinished()
        steps = available(self._directory)
        for step in reversed(steps):
            try:
                self._checkpoint.restore(_prefix(self._directory, step)).assert_consumed()
                return step
            except _DAMAGE as error:
                print(
                    f"warning: checkpoint {_prefix(self._directory, step)} is damaged "
                    f"({_first_line(error)}); trying the one before."
                )
        if steps:
            raise UserError(
                f"None of the checkpoints in {self._directory} (steps {steps}) can be read. "
                "Remove them to start again from the first step."
            )
        return 0

    def _remove_unfinished(self):
        """Removes what a killed or failed save has left behind."""
        complete = {f"step-{step}" for step in available(self._directory)}
        for path in self._directory.glob("step-*"):
            if path.name.split(".")[0] in complete:
                continue
            if path.is_dir():
                for part in path.iterdir():
                    part.unlink(missing_ok=True)
                path.rmdir()
            else:
                path.unlink(missing_ok=True)


def restore_generator(generator, directory, *, checkpoint="latest", weights="raw"):
    """Restores a generator alone, for sampling and export; returns the checkpoint's step.

    Args:
      generator: a network as the run built it.
      directory: the run's checkpoints.
      checkpoint: a step, or "latest".
      weights: "raw", or "ema" for the averaged ones.

    Raises:
      UserError: if that checkpoint or those weights do not exist or cannot be read.
    """
    steps = available(directory)
    if not steps:
        raise UserError(f"There is no checkpoint in {directory} yet. Train a little longer.")
    step = steps[-1] if checkpoint == "latest" else _parse_step(checkpoint)
    if step not in steps:
        raise UserError(
            f"There is no checkpoint of step {step} in {directory}; there are: {steps}."
        )
    name = {"raw": "generator", "ema": "generator_ema"}[weights]
    try:
        status = tf.train.Checkpoint(**{name: generator}).read(_prefix(directory, step))
        status.assert_existing_objects_matched().expect_partial()
    except _DAMAGE as error:
        raise UserError(
            f"Checkpoint {_prefix(directory, step)} cannot be read ({_first_line(error)}). "
            f"Choose another with --checkpoint; there are: {steps}."
        ) from error
    return step


def _networks(gan):
    average = {} if gan.generator_ema is None else {"generator_ema": gan.generator_ema}
    return {"generator": gan.generator, **average}


def _prefix(directory, step):
    return str(Path(directory) / f"step-{step}")


def _parse_step(text):
    try:
        return int(text)
    except ValueError as error:
        raise UserError(f"--checkpoint={text} is neither a step nor 'latest'.") from error


def _first_line(error):
    return str(error).strip().split("\n", 1)[0][:200] or type(error).__name__
