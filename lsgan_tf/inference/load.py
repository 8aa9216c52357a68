"""The trained generator of a run directory, for the commands that use one."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

from absl import flags

from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils.errors import UserError

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
    flags.DEFINE_string(
        "checkpoint", "latest", "Checkpoint: a step, latest, or best; evaluate also takes all."
    )
    flags.DEFINE_enum(
        "weights", "auto", ["auto", "raw", "ema"], "auto: the averaged ones where the run has them."
    )


def from_flags():
    """`load`, by the flags."""
    values = flags.FLAGS
    return load(values.run_dir, checkpoint=values.checkpoint, weights=values.weights)


def read_run():
    """(`Run`, `Config`, `DataFacts`) of --run_dir.

    Raises:
      UserError: if it is not given, or no run.
    """
    run = _run(flags.FLAGS.run_dir)
    return run, *run.read()


def _run(run_dir):
    if not run_dir:
        raise UserError("--run_dir is missing: which run? For example --run_dir=runs/NAME.")
    return Run(run_dir)


def load(run_dir, *, checkpoint="latest", weights="auto"):
    """Rebuilds the generator of a run, in float32, and restores one of its checkpoints.

    Args:
      run_dir: the run directory; nothing else is needed.
      checkpoint: a step, "latest", or "best": the one that scored best while training with
        --keep_best.
      weights: "raw", "ema", or "auto": the averaged ones where the run keeps them.

    Raises:
      UserError: if there is no such run, checkpoint or weights.
    """
    from lsgan_tf.runs.checkpoints import restore_generator
    from lsgan_tf.training.loop import build  # starts TensorFlow, which defining flags should not

    run = _run(run_dir)
    config, data = run.read()
    if weights == "auto":
        weights = "ema" if config.ema_decay else "raw"
    if weights == "ema" and not config.ema_decay:
        raise UserError(f"{run_dir} was trained without --ema_decay; it has only --weights=raw.")
    if checkpoint == "best":
        checkpoint = _best(run)
    generator, _ = build.pair(config, data.image_shape, data.class_names)
    step = restore_generator(generator, run.checkpoints, checkpoint=checkpoint, weights=weights)
    class_names = data.class_names if config.conditional else None
    return Trained(run, generator, class_names, step, weights)


def _best(run):
    best = run.best()
    if best is None:
        raise UserError(
            f"{run.directory} has no best checkpoint: it was trained without --keep_best. "
            "python -m lsgan_tf.evaluate --checkpoint=all scores those that are there."
        )
    return str(best.step)


def parse_labels(text, class_names):
    """Reads --labels: class names or ids, separated by commas, as ids; None for an empty text.

    What is the name of a class means that class, even if it is the id of another: with classes
    named "5", "6" and "7", 6 is the second one, and 0 is the first. Where all names have one
    character, they may be written without commas. A class may come several times.

    Raises:
      UserError: if one is neither a name nor an id, or the generator has no labels.
    """
    if not text:
        return None
    if class_names is None:
        raise UserError("--labels: this run was trained without --conditional; it has no labels.")
    ids = {name: index for index, name in enumerate(class_names)}
    if text in ids:  # commas and all
        return [ids[text]]
    parts = [part.strip() for part in text.split(",")]
    if "" in parts:
        raise UserError(f"--labels={text}: a name or id is missing before or after a comma.")
    return [label for part in parts for label in _label_ids(part, ids)]


def _label_ids(part, ids):
    if part in ids:
        return [ids[part]]
    together = max(map(len, ids)) == 1
    if together and all(character in ids for character in part):
        return [ids[character] for character in part]
    if part.isascii() and part.isdecimal() and len(part) < 10 and int(part) < len(ids):
        return [int(part)]
    absent = dict.fromkeys(character for character in part if character not in ids)
    if together and len(absent) < len(set(part)):
        hint = f" (no class: {', '.join(absent)})"
    else:
        hint = _nearest(part, ids)
    known = ", ".join(list(ids)[:20])
    if len(ids) > 20:
        known += f", ... ({len(ids)} in all, listed in the run's config.json)"
    raise UserError(
        f"--labels: {part!r} is neither a class name nor an id in 0..{len(ids) - 1}{hint}. "
        f"Class names: {known}."
    )


def _nearest(part, names):
    """Names that the writer may have meant, as a part of a message."""
    folded = {name.casefold(): name for name in names}
    near = [folded[key] for key in difflib.get_close_matches(part.casefold(), folded)]
    return f"; close to it: {', '.join(near)}" if near else ""
