"""What counts as equal between runs on one replica and on several, and that a difference shows."""

import json

import numpy as np
import pytest

from tools import compare_distributions, local_cluster
from tools.compare_distributions import copies_are_equal, differences, relative

FIRST = {
    "metric d_loss": np.array(2.0),
    "metric d_fake": np.array(0.25),
    "trained d.kernel": np.array([3.0, 4.0], np.float32),
    "moving d.mean": np.array([0.0]),
    "images": np.zeros((1, 2, 2, 1)),
    "copies": np.array(True),
}


def test_differences_by_hand():
    assert differences(FIRST, FIRST) == (0.0, 0.0, 0.0)
    other = {
        **FIRST,
        "metric d_loss": np.array(2.5),  # a quarter of two
        "trained d.kernel": np.array([3.0, 4.5], np.float32),  # 0.5 against a norm of 5
        "images": np.full((1, 2, 2, 1), 0.125),
    }
    assert differences(FIRST, other) == pytest.approx((0.25, 0.1, 0.125))


def test_small_variables_count_as_a_thousandth():
    assert relative(np.array([0.0]), np.array([1e-6])) == pytest.approx(1e-3)


def test_copies_of_replicas_and_of_workers_must_be_equal():
    assert copies_are_equal([FIRST, dict(FIRST)])
    assert not copies_are_equal([{**FIRST, "copies": np.array(False)}])
    assert not copies_are_equal([FIRST, {**FIRST, "moving d.mean": np.array([1e-30])}])


def test_a_job_survives_its_command_line():
    layout = compare_distributions.Layout(workers=2, steps_per_call=8)
    job = compare_distributions.Job(
        *("digit", [28, 28, 1], False, "sgd", 0.01, "float64", "none", 20, "data"), layout, "out"
    )
    text = json.dumps(compare_distributions.dataclasses.asdict(job))
    again = compare_distributions.Job.from_json(text)
    assert again == job
    assert again.config().distribution == "multi_worker"
    assert again.config().batch_size % 12 == 0


def test_workers_of_this_machine_know_their_places():
    addresses = local_cluster.free_addresses(3)
    assert len(set(addresses)) == 3
    place = json.loads(local_cluster.environment(addresses, 2)["TF_CONFIG"])
    assert place == {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 2}}
    assert "TF_CONFIG" not in local_cluster.environment(addresses[:1], 0)
