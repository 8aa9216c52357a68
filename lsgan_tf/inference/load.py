"""The trained generator of a run directory, for the commands that use one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from absl import flags

from lsgan_tf.config import Config
from lsgan_tf.runs.run_directory import DataFacts, Run
from lsgan_tf.utils.errors import UserError

if TYPE_CHECKING:
    from lsgan_tf.networks.base import Discriminator, Generator


class Trained(NamedTuple):
    """A restored generator, and the checkpoint it comes from."""

    run: Run
    generator: Generator
    class_names: tuple[str, ...] | None  # of a conditional generator, else None
    step: int
    weights: str  # "raw" or "ema"


def define_flags() -> None:
    """Defines the flags that say which generator: --run_dir, --checkpoint and --weights."""
    flags.DEFINE_string("run_dir", "", "The run directory.")
    flags.DEFINE_string(
        "checkpoint", "latest", "Checkpoint: a step, latest, or best; evaluate also takes all."
    )
    flags.DEFINE_enum(
        "weights", "auto", ["auto", "raw", "ema"], "auto: the averaged ones where the run has them."
    )


def load_by_flags() -> Trained:
    """Loads the generator that the flags of `define_flags` choose."""
    values = flags.FLAGS
    return load(values.run_dir, checkpoint=values.checkpoint, weights=values.weights)


def read_run() -> tuple[Run, Config, DataFacts]:
    """Reads what is known of the run in --run_dir.

    Raises:
        UserError: the flag is missing, or there is no run.
    """
    run = _run(flags.FLAGS.run_dir)
    return run, *run.read()


def _run(run_dir):
    if not run_dir:
        raise UserError("--run_dir is missing: which run? For example --run_dir=runs/NAME.")
    return Run(run_dir)


def load(run_dir: str, *, checkpoint: str = "latest", weights: str = "auto") -> Trained:
    """Rebuilds the generator of a run, in float32, and restores one of its checkpoints.

    Args:
        run_dir: the run directory; nothing else is needed.
        checkpoint: a step, "latest", or "best": the one that scored best while training with
            --keep_best.
        weights: "raw", "ema", or "auto": the averaged ones where the run keeps them.

    Raises:
        UserError: there is no such run, checkpoint or weights.
    """
    from lsgan_tf.runs.checkpoints import restore_generator  # starts TensorFlow

    run = _run(run_dir)
    config, data = run.read()
    if weights == "auto":
        weights = "ema" if config.ema_decay else "raw"
    if weights == "ema" and not config.ema_decay:
        raise UserError(f"{run_dir} was trained without --ema_decay; it has only --weights=raw.")
    if checkpoint == "best":
        checkpoint = best_step(run)
    generator, _ = build_networks(config, data)
    step = restore_generator(generator, run.checkpoints, checkpoint=checkpoint, weights=weights)
    class_names = data.class_names if config.conditional else None
    return Trained(run, generator, class_names, step, weights)


def build_networks(config: Config, data: DataFacts) -> tuple[Generator, Discriminator]:
    """Makes the generator and the discriminator of a run anew, without its weights."""
    from lsgan_tf import networks  # starts TensorFlow, which defining flags should not

    return networks.build(
        config.network,
        data.image_shape,
        len(data.class_names or ()) if config.conditional else 0,
        discriminator_norm=config.discriminator_norm,
        base_channels=config.base_channels,
    )


def best_step(run: Run) -> str:
    """The step that --checkpoint=best means; UserError if there is none."""
    best = run.best()
    if best is None:
        raise UserError(
            f"{run.directory} has no best checkpoint: it was trained without --keep_best. "
            "python -m lsgan_tf.evaluate --checkpoint=all scores those that are there."
        )
    return str(best.step)
