"""Whether a run that met faults has ended where an uninterrupted one did."""

import dataclasses

import tensorflow as tf

from lsgan_tf.runs.checkpoints import available
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils.errors import UserError

_OF_THE_MOMENT = ("time", "images_per_second")  # differ between any two runs
_SHOWN = 3  # of a kind of difference


@dataclasses.dataclass(frozen=True)
class Variables:
    """The variables of two checkpoints of the same step."""

    step: int
    total: int
    different: tuple[str, ...]


def compare_checkpoints(one, other):
    """Compares the newest checkpoints of two run directories bit by bit.

    Raises:
      UserError: if they are of different steps.
    """
    folders = [Run(run).checkpoints for run in (one, other)]
    steps = [available(folder)[-1] for folder in folders]
    if steps[0] != steps[1]:
        raise UserError(f"{one} ended at step {steps[0]}, {other} at {steps[1]}.")
    first, second = (_bits(folder / f"step-{steps[0]}") for folder in folders)
    names = sorted(first.keys() | second.keys())
    different = tuple(name for name in names if first.get(name) != second.get(name))
    return Variables(steps[0], len(names), different)


def _bits(prefix):
    """{name: (dtype, shape, bytes)} of a checkpoint's variables."""
    reader = tf.train.load_checkpoint(str(prefix))
    # The graph of objects is no variable.
    names = [name for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name]
    tensors = {name: reader.get_tensor(name) for name in names}
    return {name: (each.dtype, each.shape, each.tobytes()) for name, each in tensors.items()}


def compare_metrics(one, other, log_every, resumed_at):
    """What is wrong with the metrics.jsonl of a run that was resumed, as sentences.

    A resumed run takes its means from there on, so the line after a step at which none was due is
    of fewer steps than in the uninterrupted run: of it only the step is compared. A run that is
    asked to stop adds a line.

    Args:
      one: the directory of the uninterrupted run.
      other: that of the other.
      log_every: at which steps lines are due.
      resumed_at: the steps it went on from.
    """
    stored = [line["step"] for line in Run(other).read_metrics() if "scores" not in line]
    if any(step >= following for step, following in zip(stored, stored[1:], strict=False)):
        yield "the steps in metrics.jsonl do not rise"
    first, second = _metrics(one), _metrics(other)
    extra = {key for key in second.keys() - first.keys() if key[0] not in resumed_at}
    if first.keys() - second.keys():
        yield f"metrics.jsonl lacks steps {_some(first.keys() - second.keys())}"
    if extra:
        yield f"metrics.jsonl has more steps: {_some(extra)}"
    amid = [step for step in resumed_at if step % log_every]
    shorter = {min((s for s, _ in first if s > step), default=None) for step in amid}
    both = {key for key in first.keys() & second.keys() if key[0] not in shorter}
    different = {key for key in both if first[key] != second[key]}
    if different:
        yield f"metrics.jsonl has other values at steps {_some(different)}"


def _metrics(run_dir):
    """{(step, whether it is of scores): the values that must be equal}."""
    return {
        (line["step"], "scores" in line): {k: v for k, v in line.items() if k not in _OF_THE_MOMENT}
        for line in Run(run_dir).read_metrics()
    }


def _some(keys):
    steps = sorted({step for step, _ in keys})
    return ", ".join(map(str, steps[:_SHOWN])) + (" ..." if len(steps) > _SHOWN else "")


def compare_samples(one, other):
    """What is wrong with the samples of a run, as sentences: it must have all of another's."""
    expected = sorted(Run(one).samples.iterdir())
    different = []
    for path in expected:
        own = Run(other).samples / path.name
        if not own.exists() or own.read_bytes() != path.read_bytes():
            different.append(path.name)
    if different:
        yield f"other or no samples: {', '.join(different[:_SHOWN])}"
