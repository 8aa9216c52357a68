"""What a run has logged, read back and checked; without TensorFlow.

The files may have been damaged or edited: lines that do not say what they should are left out.
"""

import bisect
import contextlib
import dataclasses
import json
from typing import NamedTuple

from lsgan_tf.metrics.directions import BETTER, heading, spelled
from lsgan_tf.utils.errors import printable

_LAST_STEP = 2**63 - 1
_AMISS = (KeyError, TypeError, ValueError, OverflowError, RecursionError)


class Losses(NamedTuple):
    """Means of both networks' losses, up to a step."""

    step: int
    discriminator: float
    generator: float


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What a score depends on besides the images: only scores of one protocol compare."""

    count: int  # of the images that are scored
    dataset: str
    rest: tuple[tuple[str, str], ...]  # (name, value) of all that is not named here
    extractor: str
    dtype: str
    split: str  # of the real images
    images: int  # how many of those

    def __str__(self):
        of = f"{self.dataset} {self.split}"
        return f"{self.count:,} images vs {self.images:,} of {of}{self.features}"

    @property
    def reference(self):
        """The real images, in short."""
        return f"{self.images:,} of {self.split}"

    @property
    def features(self):
        """What is compared, as the end of an enumeration."""
        return f", {self.extractor}, {self.dtype}"


class Scored(NamedTuple):
    """One score of one set of images."""

    name: str
    title: str
    value: float
    std: float | None
    of: int | None  # the largest value there can be, of a count
    step: int | None  # None of real images
    images: str  # "generated", or which real ones
    weights: str | None  # "raw" or "ema", and the dtype policy unless float32
    protocol: Protocol

    @property
    def direction(self):
        """-1 if lower is better, 1 if higher is; 0 of a score that is not known."""
        return BETTER.get(self.name, 0)

    @property
    def heading(self):
        """The title, with an arrow that shows which way is better."""
        return heading(self.name, self.title)

    @property
    def text(self):
        """The value, with what belongs to it."""
        return spelled(self.value, std=self.std, of=self.of)


class LossLog:
    """The losses in a run's metrics.jsonl."""

    def __init__(self, run):
        self._by_step = {}
        for line in run.read_metrics():
            with contextlib.suppress(*_AMISS):
                losses = Losses(_step(line), _number(line["d_loss"]), _number(line["g_loss"]))
                self._by_step[losses.step] = losses
        self._steps = sorted(self._by_step)

    def at(self, step):
        """The `Losses` that were logged at a step or last before it, or None."""
        before = bisect.bisect_right(self._steps, step)
        return self._by_step[self._steps[before - 1]] if before else None


def plain(text):
    """Text from outside, for one line of a terminal or a picture."""
    return printable(text).replace("\n", "\\n")


def scores(run):
    """A list of `Scored`: a run's scores.jsonl, in the order it was written."""
    found = []
    for line in run.read_scores():
        with contextlib.suppress(*_AMISS):
            found.append(_scored(line))
    return found


def _scored(line):
    step = None if line["step"] is None else _step(line)
    return Scored(
        name=_of(str, line["score"]),
        title=_of(str, line["title"]),
        value=_number(line["value"]),
        std=None if line.get("std") is None else _number(line["std"]),
        of=_of_or_none(int, line.get("of")),
        step=step,
        images=_of(str, line["images"]),
        weights=None if step is None else _weights(line),
        protocol=_protocol(line),
    )


def _weights(line):
    weights, dtype = _of(str, line["weights"]), _of_or_none(str, line.get("generator_dtype"))
    return weights if dtype in (None, "float32") else f"{weights}, {dtype}"


def _protocol(line):
    reference, extractor = (dict(_of(dict, line[name])) for name in ("reference", "extractor"))
    extractor.pop("test_accuracy", None)  # follows from the network
    named = {
        "dataset": _of(str, reference.pop("dataset")),
        "split": _of(str, reference.pop("split")),
        "images": _of(int, reference.pop("images")),
        "extractor": _of(str, extractor.pop("name")),
        "dtype": _of(str, extractor.pop("dtype")),
    }
    rest = tuple(
        (name, json.dumps(value, sort_keys=True))
        for part in (extractor, reference, _of(dict, line["settings"]))
        for name, value in sorted(part.items())
    )
    return Protocol(count=_of(int, line["count"]), rest=rest, **named)


def _step(line):
    step = _of(int, line["step"])
    if not 0 <= step <= _LAST_STEP:
        raise ValueError(f"{step} is no step")
    return step


def _number(value):
    """A float, finite or not; TypeError if the value is no number."""
    return value if type(value) is float else float(_of(int, value))


def _of(kind, value):
    """The value; TypeError if it is of another type."""
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _of_or_none(kind, value):
    return None if value is None else _of(kind, value)
