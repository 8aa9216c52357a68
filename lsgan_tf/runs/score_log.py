"""The losses and scores that a run has logged, read back and checked; without TensorFlow.

The files may be damaged or edited: lines that do not hold what they should are left out.
"""

import bisect
import contextlib
import dataclasses
import json
from typing import Any, NamedTuple

from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils.errors import printable
from lsgan_tf.utils.score_directions import BETTER, format_score, heading
from lsgan_tf.utils.typed_json import InvalidJson, parse

_LAST_STEP = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class Losses:
    """Means of both networks' losses since the log line before, as a line of metrics.jsonl."""

    step: int
    d_loss: float
    g_loss: float

    def __post_init__(self):
        _check_step(self.step)


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What a score depends on besides the images: only scores of one protocol compare."""

    count: int  # of the images that are scored
    dataset: str
    rest: tuple[tuple[str, str], ...]  # (name, value) of all that is not named here
    extractor: str
    dtype: str
    split: str  # of the real images
    images: int  # how many real ones

    def __str__(self):
        real = f"{self.images:,} of {self.dataset} {self.split}"
        return f"{self.count:,} images vs {real}{self.features}"

    @property
    def reference(self) -> str:
        """The real images, in short."""
        return f"{self.images:,} of {self.split}"

    @property
    def features(self) -> str:
        """The extractor and its dtype, to be added to an enumeration."""
        return f", {self.extractor}, {self.dtype}"


class LoggedScore(NamedTuple):
    """One score of one set of images."""

    name: str
    title: str
    value: float
    std: float | None
    maximum: int | None  # the largest possible value, of a count
    step: int | None  # None of real images
    images: str  # "generated", or which real ones
    weights: str | None  # "raw" or "ema", and the dtype policy unless float32
    protocol: Protocol

    @property
    def direction(self) -> int:
        """-1 if lower is better, 1 if higher is; 0 of an unknown score."""
        return BETTER.get(self.name, 0)

    @property
    def heading(self) -> str:
        """The title, with an arrow that shows which way is better."""
        return heading(self.name, self.title)

    @property
    def text(self) -> str:
        """The value, with its deviation or maximum."""
        return format_score(self.value, std=self.std, of=self.maximum)


class LossLog:
    """The losses in a run's metrics.jsonl."""

    def __init__(self, run: Run):
        self._by_step = {}
        for line in run.read_metrics():
            with contextlib.suppress(InvalidJson):
                losses = parse(line, Losses, ignore_unknown=True)
                self._by_step[losses.step] = losses
        self._steps = sorted(self._by_step)

    def all(self) -> list[Losses]:
        """The losses of all steps, in order."""
        return [self._by_step[step] for step in self._steps]

    def at(self, step: int) -> Losses | None:
        """The losses that were logged at a step or last before it, or None."""
        before = bisect.bisect_right(self._steps, step)
        return self._by_step[self._steps[before - 1]] if before else None


def read_scores(run: Run) -> list[LoggedScore]:
    """The scores in a run's scores.jsonl, in the order they were written."""
    scores = []
    for line in read_lines(run):
        with contextlib.suppress(InvalidJson, RecursionError):
            scores.append(_to_score(line))
    return scores


def read_lines(run: Run) -> list["Line"]:
    """The lines of a run's scores.jsonl, in the order they were written."""
    lines = []
    for record in run.read_scores():
        with contextlib.suppress(InvalidJson, RecursionError):
            lines.append(parse(record, Line, ignore_unknown=True))
    return lines


def one_line(text: str) -> str:
    """Text from a file as one line for a terminal or picture: control characters are escaped."""
    return printable(text).replace("\n", "\\n")


@dataclasses.dataclass(frozen=True)
class Line:
    """What is read of a line of scores.jsonl, as `metrics.evaluator.score_lines` makes it."""

    step: int | None
    score: str
    title: str
    value: float
    images: str
    count: int
    extractor: dict[str, Any]
    reference: dict[str, Any]
    settings: dict[str, Any]
    weights: str | None = None
    generator_dtype: str | None = None
    std: float | None = None
    of: int | None = None

    def __post_init__(self):
        if self.step is not None:
            _check_step(self.step)
            if self.weights is None:
                raise ValueError("weights are missing")


@dataclasses.dataclass(frozen=True)
class _Extractor:
    name: str
    dtype: str


@dataclasses.dataclass(frozen=True)
class _Reference:
    dataset: str
    split: str
    images: int


def _to_score(line: Line) -> LoggedScore:
    weights = line.weights
    if weights is not None and line.generator_dtype not in (None, "float32"):
        weights = f"{weights}, {line.generator_dtype}"
    return LoggedScore(
        name=line.score,
        title=line.title,
        value=line.value,
        std=line.std,
        maximum=line.of,
        step=line.step,
        images=line.images,
        weights=None if line.step is None else weights,
        protocol=_to_protocol(line),
    )


def _to_protocol(line: Line) -> Protocol:
    extractor = parse(line.extractor, _Extractor, ignore_unknown=True)
    reference = parse(line.reference, _Reference, ignore_unknown=True)
    # The accuracy of a classifier follows from its weights, which have a checksum.
    shown_elsewhere = {*vars(extractor), "test_accuracy"}, set(vars(reference)), set()
    parts = line.extractor, line.reference, line.settings
    return Protocol(
        count=line.count,
        dataset=reference.dataset,
        rest=tuple(
            (name, json.dumps(value, sort_keys=True))
            for part, names in zip(parts, shown_elsewhere, strict=True)
            for name, value in sorted(part.items())
            if name not in names
        ),
        extractor=extractor.name,
        dtype=extractor.dtype,
        split=reference.split,
        images=reference.images,
    )


def _check_step(step: int) -> None:
    if not 0 <= step <= _LAST_STEP:
        raise ValueError(f"step must be in 0..{_LAST_STEP}, not {step}")
