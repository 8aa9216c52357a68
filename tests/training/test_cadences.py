"""What is due at a step: the multiples of each flag, and everything at the last step."""

from lsgan_tf.config import Config
from lsgan_tf.training.cadences import Cadences


def _cadences(**changes):
    settings = {"log_every": 3, "sample_every": 6, "checkpoint_every": 4, "train_steps": 14}
    return Cadences(Config(**{**settings, **changes}))


def _due_steps(is_due):
    return [step for step in range(1, 15) if is_due(step)]


def test_each_cadence_by_hand():
    cadences = _cadences(eval_every=5)
    assert _due_steps(cadences.log_is_due) == [3, 6, 9, 12, 14]
    assert _due_steps(cadences.sample_is_due) == [6, 12, 14]
    assert _due_steps(cadences.checkpoint_is_due) == [4, 8, 12, 14]
    assert _due_steps(cadences.score_is_due) == [5, 10, 14]
    assert _due_steps(cadences.anything_is_due) == [3, 4, 5, 6, 8, 9, 10, 12, 14]


def test_without_eval_every_no_score_is_due():
    assert _due_steps(_cadences().score_is_due) == []


def test_the_next_step_that_is_due():
    cadences = _cadences()
    assert [cadences.next_due(step) for step in (0, 3, 5, 6, 12)] == [3, 4, 6, 8, 14]
    assert _cadences(log_every=100, sample_every=100, checkpoint_every=100).next_due(5) == 14
