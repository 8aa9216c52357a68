"""Intervals, the rule of collapse and the rule that decides a claim, by hand."""

import pytest

from lsgan_tf.experiments import collapse, intervals, verdict
from lsgan_tf.experiments.row import Collapse, Expectation
from lsgan_tf.experiments.verdict import CONTRADICTED, NOT_RUN, OPEN, SUPPORTED, UNTESTED
from tests.experiments.evidence import PROTOCOL, make_line, make_lines, make_row


@pytest.mark.parametrize(
    ("freedom", "quantile"),  # of the usual tables
    [(1, 12.706), (2, 4.303), (9, 2.262), (10, 2.228), (20, 2.086), (30, 2.042), (120, 1.980)],
)
def test_students_t(freedom, quantile):
    assert intervals.t_quantile(freedom) == pytest.approx(quantile, abs=6e-4)


def test_a_mean_by_hand():
    """Deviation 1, so that the half interval of three values is 4.303 / sqrt 3."""
    mean = intervals.of_mean([4.0, 5.0, 6.0])
    assert (mean.value, mean.deviation, mean.count) == (5.0, 1.0, 3)
    assert mean.interval == pytest.approx((5 - 2.4843, 5 + 2.4843), abs=1e-3)
    assert intervals.of_mean([4.0]).interval is None


def test_a_difference_of_means_by_hand():
    """Variances of the means 1/3 and 4/3: 2.94 degrees of freedom, taken as 2, and t 4.3027."""
    one, other = intervals.of_mean([4.0, 5.0, 6.0]), intervals.of_mean([8.0, 10.0, 12.0])
    half = 4.3027 * (5 / 3) ** 0.5
    assert intervals.of_difference(one, other) == pytest.approx((-5 - half, -5 + half), abs=1e-3)
    equal = intervals.of_mean([4.0, 4.0])
    assert intervals.of_difference(equal, intervals.of_mean([3.0, 3.0])) == (1.0, 1.0)
    assert intervals.of_difference(equal, intervals.of_mean([3.0])) is None


def test_a_difference_of_shares_is_the_published_one():
    """Newcombe (1998), table II, (a): 56 of 70 less 48 of 80."""
    one, other = intervals.of_share(56, 70), intervals.of_share(48, 80)
    assert intervals.of_difference(one, other) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    opposite = intervals.of_difference(other, one)
    assert opposite == pytest.approx((-0.3339, -0.0524), abs=5e-5)


def _judge(row, lines):
    return verdict.judge(row, verdict.groups(row, lines))


LOW, HIGH = [5.0, 5.1, 5.2], [9.0, 9.1, 9.2]


@pytest.mark.parametrize(
    ("one", "other", "word"),
    [
        (LOW, HIGH, SUPPORTED),
        (HIGH, LOW, CONTRADICTED),
        (LOW, LOW, OPEN),
        (LOW, HIGH[:1], OPEN),  # one run has no interval
        (LOW, [], OPEN),
        ([], [], NOT_RUN),
    ],
)
def test_an_order_is_decided_by_the_interval_of_the_difference(one, other, word):
    lines = make_lines("one", one) + make_lines("other", other)
    assert _judge(make_row(), lines).word == word


def test_the_reason_names_both_means_and_the_interval():
    """Deviation 0.1 of both: 4 degrees of freedom, 2.776 x 0.1 x sqrt(2 / 3) = 0.227."""
    one, other = make_lines("one", LOW), make_lines("other", HIGH)
    assert str(_judge(make_row(), one + other)) == (
        "The claim is **supported here**: one (5.1) is better than other (9.1), by 3.8 to 4.2."
    )
    one, other = make_lines("one", HIGH), make_lines("other", LOW)
    assert "one (9.1) is worse than other (5.1), by 3.8 to 4.2" in str(
        _judge(make_row(), one + other)
    )
    one = make_lines("one", LOW)
    assert "one (5.1) is not apart from other (5.1), better by -0.23 to 0.23" in str(
        _judge(make_row(), one + make_lines("other", LOW))
    )
    assert "one run of one (5.1) or of other (9) has no interval" in str(
        _judge(make_row(), one + make_lines("other", HIGH[:1]))
    )


def test_intervals_of_means_may_overlap_while_the_difference_is_decided():
    """Of ten runs each, deviation 0.456: half intervals of 0.326, of the difference 0.429."""
    row = make_row(score="inception_score")
    spread = [-0.75, -0.5, -0.25, -0.25, 0.0, 0.0, 0.25, 0.25, 0.5, 0.75]
    low, high = ([middle + one for one in spread] for middle in (1.0, 1.6))
    means = [intervals.of_mean(values) for values in (low, high)]
    assert means[0].interval[1] > means[1].interval[0]
    assert _judge(row, make_lines("one", high) + make_lines("other", low)).word == SUPPORTED


def test_a_higher_score_may_be_the_better_one():
    row = make_row(score="inception_score")
    lines = make_lines("one", HIGH) + make_lines("other", LOW)
    assert _judge(row, lines).word == SUPPORTED


def test_runs_of_another_length_or_protocol_decide_nothing():
    other = make_lines("other", HIGH)
    short = make_lines("one", LOW, steps=50)
    assert _judge(make_row(), short + other).word == OPEN
    apart = make_lines("one", LOW, protocol={**PROTOCOL, "generated": 20})
    said = _judge(make_row(), apart + other)
    assert said.word == OPEN and "several protocols" in str(said)


def test_a_cell_that_the_claim_is_not_about_may_have_another_protocol():
    learn = make_row(value="share", expect=(Expectation(learn=("one",)),))
    fallen = make_lines("one", LOW + HIGH, collapsed_at=20)
    apart = make_lines("other", LOW, protocol={**PROTOCOL, "weights": "ema"})
    assert _judge(learn, fallen + apart).word == CONTRADICTED


def test_shares_of_what_did_not_collapse():
    learn = make_row(value="share", expect=(Expectation(learn=("one", "other")),))
    sound, fallen = make_lines("one", LOW + HIGH), make_lines("other", LOW + HIGH, collapsed_at=20)
    assert _judge(learn, sound + make_lines("other", LOW)).word == SUPPORTED
    assert _judge(learn, fallen + make_lines("one", [])).word == OPEN  # no run of one
    assert _judge(learn, sound + fallen).word == OPEN  # 6 of 12
    alone = make_row(value="share", expect=(Expectation(learn=("other",)),))
    assert _judge(alone, fallen).word == CONTRADICTED
    assert "0 of 6 runs of other did not collapse (0 to 0.39)" in str(_judge(alone, fallen))
    order = make_row(value="share")
    assert _judge(order, sound + fallen).word == SUPPORTED


def test_shares_of_successes():
    row = make_row(value="share", score="modes", success=8)
    lines = make_lines("one", [8.0] * 9 + [7.0]) + make_lines("other", [7.0] * 10)
    assert _judge(row, lines).word == SUPPORTED


def test_a_row_without_expectations_claims_nothing():
    assert _judge(make_row(expect=()), []).word == NOT_RUN
    said = _judge(make_row(expect=()), [make_line()])
    assert said.word == UNTESTED and str(said) == "No run tests the claim."


class _Score:
    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize(
    ("rule", "values", "first"),
    [
        (Collapse(ratio=2.0), [9, 4, 5, 8], None),  # 9 was before, 8 is not above twice 4
        (Collapse(ratio=2.0), [9, 4, 9, 10], 30),
        (Collapse(ratio=2.0), [9, 4, 9, 5], None),  # it came back
        (Collapse(beyond=8.5), [9, 9, 9, 9], 10),
        (Collapse(), [1, 100, 1000, 9999], None),
    ],
)
def test_a_run_is_collapsed_from_the_step_after_which_all_are(rule, values, first):
    row = make_row(collapse=rule)
    steps = dict(zip((10, 20, 30, 40), map(float, values), strict=True))
    assert collapse.first_step(row, steps) == first


def test_few_classes_and_repeated_images_are_a_collapse():
    row = make_row(collapse=Collapse(classes=5, repeats=0.5))
    values = {10: 4.0, 20: 4.0}

    def scores(classes, repeats):
        return {"classes_covered": _Score(classes), "repeats": _Score(repeats)}

    for last, first in (((4, 0.0), 20), ((5, 0.6), 20), ((5, 0.5), None)):
        by_step = {10: scores(10, 0.0), 20: scores(*last)}
        assert collapse.first_step(row, values, by_step) == first
    assert collapse.describe(row) == (
        "its images are of fewer than 5 classes or more than 50% of its images repeat one another"
    )


def test_of_a_score_that_is_better_higher():
    row = make_row(score="modes", collapse=Collapse(beyond=4, ratio=3.0))
    assert collapse.first_step(row, {1: 8.0, 2: 4.0}) is None
    assert collapse.first_step(row, {1: 8.0, 2: 3.0}) == 2
    assert collapse.first_step(row, {1: 8.0, 2: 0.0}) == 2
