"""The coordinates of the charts: where values, optima and floors lie, and what is not drawn."""

import dataclasses
import math

import pytest

from lsgan_tf.config import Config
from lsgan_tf.runs import curves
from lsgan_tf.runs.score_log import LoggedScore, Losses, Protocol
from lsgan_tf.training import build
from lsgan_tf.utils import settings

PEARSON = Config(dataset="small", objective="pearson")  # the optimum is 1 and 0
PROTOCOL = Protocol(5000, "small", (), "inception-2015", "float32", "train", 5000)


def _losses(*values):
    """Of steps 100, 200 ...; the loss of G is 0."""
    return [Losses(100 * number, value, 0.0) for number, value in enumerate(values, 1)]


def _score(step, value, weights="ema", title="FID-768", protocol=PROTOCOL, images="generated"):
    weights = None if step is None else weights
    return LoggedScore("fid", title, value, None, None, step, images, weights, protocol)


@pytest.mark.parametrize("name", settings.OBJECTIVES)
def test_the_optimum_is_that_of_the_objective(name):
    config = Config(dataset="small", objective=name, penalty="wgan_gp")
    assert curves.find_optimum(config) == build.objective(config).optimum()


def test_losses_and_optima_share_a_scale():
    chart = curves.of_losses(PEARSON, _losses(0.5, 1.0, 0.25), last=300)
    d_loss, g_loss = chart.curves
    assert (d_loss.name, g_loss.name) == ("d_loss", "g_loss")
    assert [x for x, _ in d_loss.points] == [100, 200, 300]
    optimum_of_d, optimum_of_g = chart.levels
    assert (optimum_of_d.name, optimum_of_d.curve) == ("optimum of d_loss: 1", 0)
    assert (optimum_of_g.name, optimum_of_g.curve) == ("optimum of g_loss: 0", 1)
    assert optimum_of_d.y == d_loss.points[1][1] < d_loss.points[0][1] < d_loss.points[2][1]
    assert optimum_of_g.y == g_loss.points[0][1] < curves.HEIGHT
    assert [tick.text for tick in chart.x_ticks] == ["0", "100", "200", "300"]
    ticks = {tick.text: tick.at for tick in chart.y_ticks}
    assert ticks["1"] == optimum_of_d.y and ticks["0"] == optimum_of_g.y


def test_an_optimum_that_is_open_has_no_line():
    config = Config(dataset="small", objective="wasserstein", penalty="wgan_gp")
    chart = curves.of_losses(config, _losses(1.0, 2.0), last=200)
    assert [level.name for level in chart.levels] == ["optimum of d_loss: 0"]


def test_long_curves_are_thinned_to_their_last_point():
    losses = _losses(*(math.sin(number) for number in range(10_007)))
    chart = curves.of_losses(PEARSON, losses, last=1_000_700)
    for curve in chart.curves:
        assert 250 <= len(curve.points) <= 300 and curve.points[-1][0] == curves.WIDTH


def test_a_few_far_values_do_not_flatten_the_others():
    chart = curves.of_losses(PEARSON, _losses(9e5, *(0.4, 0.6) * 50), last=10_100)
    points = chart.curves[0].points
    assert points[0][1] < 0 and points[1][1] - points[2][1] > curves.HEIGHT / 20


@pytest.mark.parametrize("damage", [math.nan, math.inf, -math.inf, 1e300])
def test_what_is_no_number_is_left_out(damage):
    chart = curves.of_losses(PEARSON, _losses(0.5, damage, 0.75), last=300)
    assert [x for x, _ in chart.curves[0].points] == [100, 300]
    nothing = [Losses(step, damage, damage) for step in (1, 2, 3)]
    assert curves.of_losses(PEARSON, nothing, last=3) is None


@pytest.mark.parametrize("value", [0.0, 1.0, -7.25, 1e29, 5e-324, -1e-300])
def test_a_constant_has_a_scale(value):
    scores = [_score(2**63 - 2, value), _score(2**63 - 1, value)]
    ((chart,),) = [group.charts for group in curves.of_scores(scores, last=2**63 - 1)]
    assert all(0 < y < curves.HEIGHT for _, y in chart.curves[0].points)
    assert 2 <= len(chart.y_ticks) <= 7 and 2 <= len(chart.x_ticks) <= 7


def test_scores_stand_with_the_floor_of_their_protocol():
    other = dataclasses.replace(PROTOCOL, count=10)
    groups = curves.of_scores(
        [
            *(_score(None, 3.25, images="real (test)"), _score(None, 2.0, protocol=other)),
            *(_score(2000, 30.0), _score(1000, 20.0), _score(2000, 10.0)),
            *(_score(1000, 15.0, "raw"), _score(1000, 1.0, title="KID")),
            *(_score(1000, 50.0, protocol=other), _score(2000, 60.0, protocol=other)),
        ],
        last=2000,
    )
    assert [group.protocol for group in groups] == [PROTOCOL, other]
    (chart,) = groups[0].charts  # of KID one step alone is scored
    assert chart.title == "FID-768 ↓"
    assert [curve.name for curve in chart.curves] == ["EMA weights", "raw weights"]
    (x, y), (last_x, last_y) = chart.curves[0].points  # by step; the latest counts
    assert (x, last_x) == (curves.WIDTH / 2, curves.WIDTH) and y < last_y
    (floor,) = chart.levels
    assert floor.name == "real (test): 3.25" and floor.y > last_y


def test_a_damaged_file_draws_a_bounded_number_of_charts():
    scores = [_score(step, 1.0, title=f"s{n}") for n in range(500) for step in (1, 2)]
    scores += [_score(step, 1.0, weights=f"w{n}") for n in range(500) for step in (1, 2)]
    (group,) = curves.of_scores(scores, last=2)
    assert len(group.charts) == 60
    (group,) = curves.of_scores(scores[1000:], last=2)
    assert len(group.charts[0].curves) == 6
