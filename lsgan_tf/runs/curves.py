"""The curves of a run's losses and scores, as the coordinates of small SVG charts.

All charts span the same steps, and the page draws them. What is not a number to draw is left out.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lsgan_tf.config import Config
from lsgan_tf.runs import json_lines
from lsgan_tf.runs.score_log import LoggedScore, Losses, Protocol
from lsgan_tf.utils import optima

WIDTH, HEIGHT = 300.0, 150.0  # of the frame, in units of the SVG
_POINTS = 300  # of a curve at most: more are thinned out
_CHARTS, _CURVES = 60, 6  # of a page, of a chart: a damaged file may name any number of scores
_LARGEST = 1e30  # what is above is not drawn
_TAIL = 0.02  # of the values at each end may stick out of the frame


class Curve(NamedTuple):
    name: str
    points: list[tuple[float, float]]  # (x, y) in the frame


class Level(NamedTuple):
    """A horizontal line."""

    name: str
    y: float
    curve: int | None  # whose colour it has


class Tick(NamedTuple):
    at: float  # x or y in the frame
    text: str


class Chart(NamedTuple):
    title: str
    curves: list[Curve]
    levels: list[Level]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


class ScoreCharts(NamedTuple):
    """The charts of the scores of one protocol."""

    protocol: Protocol
    images: str
    charts: list[Chart]


class _Values(NamedTuple):
    name: str
    points: Sequence[tuple[int, float]]  # (step, value), in order


class _Mark(NamedTuple):
    """A level in the unit of its chart."""

    name: str
    value: float | None
    curve: int | None = None


def of_losses(config: Config, losses: Sequence[Losses], last: int) -> Chart | None:
    """Both losses with their values at the optimum; None of fewer than two steps.

    Args:
        config: the flags of the run.
        losses: what was logged, in order.
        last: the step that the chart ends at.
    """
    optimum = find_optimum(config)
    curves = [
        _Values("d_loss", [(one.step, one.d_loss) for one in losses]),
        _Values("g_loss", [(one.step, one.g_loss) for one in losses]),
    ]
    marks = [
        _Mark("optimum of d_loss", optimum.discriminator, 0),
        _Mark("optimum of g_loss", optimum.generator, 1),
    ]
    return _draw("Losses", curves, marks, last)


def find_optimum(config: Config) -> optima.Losses:
    """Both losses of a run at the optimum of its objective."""
    if config.objective == "least_squares":
        return optima.least_squares(config.label_a, config.label_b, config.label_c)
    if config.objective == "wasserstein":
        return optima.wasserstein()
    return optima.cross_entropy(saturating=config.objective == "sigmoid_saturating")


def of_scores(scores: Iterable[LoggedScore], last: int) -> list[ScoreCharts]:
    """A chart for each score that at least two steps have, with what real images score.

    Args:
        scores: all scores of a run, in the order they were written; the latest of a step counts.
        last: the step that the charts end at.
    """
    values, floors = {}, {}
    for score in scores:
        key = score.protocol, score.heading
        if score.step is None:
            floors.setdefault(key, {})[score.images] = score.value
        else:
            of_images = values.setdefault((score.protocol, score.images), {})
            of_score = of_images.setdefault(score.heading, {})
            of_score.setdefault(score.weights, {})[score.step] = score.value
    groups, left = [], _CHARTS
    for (protocol, images), of_headings in values.items():
        charts = [
            _draw_score(heading, by_weights, floors.get((protocol, heading), {}), last)
            for heading, by_weights in of_headings.items()
        ]
        charts = [chart for chart in charts if chart][:left]
        left -= len(charts)
        if charts:
            groups.append(ScoreCharts(protocol, images, charts))
    return groups


def _draw_score(heading, by_weights, floors, last):
    curves = [
        _Values(f"{str(weights).replace('ema', 'EMA', 1)} weights", sorted(by_step.items()))
        for weights, by_step in by_weights.items()
    ]
    marks = [_Mark(images, value) for images, value in floors.items()]
    return _draw(heading, curves[:_CURVES], marks[:_CURVES], last)


def _draw(title, curves, marks, last) -> Chart | None:
    curves = [curve._replace(points=_thin(curve.points)) for curve in curves]
    if not any(len(curve.points) > 1 for curve in curves):
        return None
    marks = [mark for mark in marks if mark.value is not None and abs(mark.value) < _LARGEST]
    values = [value for curve in curves for _, value in curve.points]
    low, high = _find_range(values, [mark.value for mark in marks])

    def x(step):
        return round(WIDTH * (step / last), 1)

    def y(value):
        return round(HEIGHT * (high - value) / (high - low), 1)

    return Chart(
        title,
        [Curve(name, [(x(step), y(value)) for step, value in points]) for name, points in curves],
        [Level(f"{name}: {value:.4g}", y(value), curve) for name, value, curve in marks],
        [Tick(x(step), _format_step(step)) for step in _ticks(0, last)],
        [Tick(y(value), f"{value:.6g}") for value in _ticks(low, high)],
    )


def _thin(points):
    """At most `_POINTS` of the points that can be drawn, the last one among them."""
    drawn = [point for point in points if abs(point[1]) < _LARGEST]  # a NaN is not
    return json_lines.thin(drawn, _POINTS)


def _find_range(values, marks):
    """What a chart shows: all marks, and all values but a few that are far from the others."""
    values = sorted(values)
    tail = int(_TAIL * (len(values) - 1))
    low, high = values[tail], values[-1 - tail]
    span = high - low
    low = min(max(values[0], low - span), *marks, low)
    high = max(min(values[-1], high + span), *marks, high)
    margin = 0.05 * (high - low)
    if margin <= 1e-9 * max(abs(low), abs(high)):
        margin = max(0.1 * abs(low), 0.1)
    return low - margin, high + margin


def _ticks(low, high):
    """Two to six round numbers of a range."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, end = math.ceil(low / step), math.floor(high / step)
    return [number * step for number in range(first, end + 1)]


def _format_step(step):
    return f"{step:,.0f}" if step < 1e7 else f"{step:.3g}"
