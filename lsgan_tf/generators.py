"""The trained generator of a run directory, for the commands that use one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from absl import flags

from lsgan_tf.errors import UserError
from lsgan_tf.run import Run

if TYPE_CHECKING:
    from lsgan_tf.networks.base import Generator


class Trained(NamedTuple):
    """A restored generator and where it comes from."""

    run: Run
    generator: Generator
    class_names: tuple[str, ...] | None  # of a conditional generator, else None
    step: int
    weights: str  # "raw" or "ema"


def define_flags():
    """Defines the flags that say which generator: --run_dir, --checkpoint and --weights."""
    flags.DEFINE_string("run_dir", "", "The run directory.")
    flags.DEFINE_string("checkpoint", "latest", "Checkpoint: a step, or latest.")
    flags.DEFINE_enum(
        "weights", "auto", ["auto", "raw", "ema"], "auto: the averaged ones where the run has them."
    )


def from_flags():
    """`load`, by the flags."""
    values = flags.FLAGS
    return load(values.run_dir, checkpoint=values.checkpoint, weights=values.weights)


def load(run_dir, *, checkpoint="latest", weights="auto"):
    """Rebuilds the generator of a run, in float32, and restores one of its checkpoints.

    Args:
      run_dir: the run directory; nothing else is needed.
      checkpoint: a step, or "latest".
      weights: "raw", "ema", or "auto": the averaged ones where the run keeps them.

    Raises:
      UserError: if there is no such run, checkpoint or weights.
    """
    from lsgan_tf import building  # starts TensorFlow, which defining flags should not
    from lsgan_tf.checkpoints import restore_generator

    if not run_dir:
        raise UserError("--run_dir is missing: which run? For example --run_dir=runs/NAME.")
    run = Run(run_dir)
    config, data = run.read()
    if weights == "auto":
        weights = "ema" if config.ema_decay else "raw"
    if weights == "ema" and not config.ema_decay:
        raise UserError(f"{run_dir} was trained without --ema_decay; it has only --weights=raw.")
    generator, _ = building.pair(config, data.image_shape, data.class_names)
    step = restore_generator(generator, run.checkpoints, checkpoint=checkpoint, weights=weights)
    class_names = data.class_names if config.conditional else None
    return Trained(run, generator, class_names, step, weights)


def parse_labels(text, class_names):
    """Reads --labels: class names or ids, separated by commas; None for an empty text.

    Single-character names may be written without commas.

    Raises:
      UserError: if one is neither a name nor an id, or the generator has no labels.
    """
    if not text:
        return None
    if class_names is None:
        raise UserError("--labels: this run was trained without --conditional; it has no labels.")
    ids = {name: index for index, name in enumerate(class_names)}
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1 and text not in ids and all(character in ids for character in text):
        parts = list(text)
    return [_label_id(part, ids) for part in parts]


def _label_id(part, ids):
    if part in ids:
        return ids[part]
    if part.isdecimal() and int(part) < len(ids):
        return int(part)
    known = ", ".join(list(ids)[:20]) + (", ..." if len(ids) > 20 else "")
    raise UserError(
        f"--labels: {part!r} is neither a class name nor an id in 0..{len(ids) - 1}. "
        f"Class names: {known}."
    )
