"""Whether a run has ended where another one did."""

import json

import tensorflow as tf

from lsgan_tf.runs.checkpoints import available
from tests.stress.faults import unfinished

_OF_THE_MOMENT = ("time", "images_per_second")  # they differ between any two runs


def assert_same_run(expected, run):
    """AssertionError unless a `Run` has ended as another: checkpoint, metrics and samples."""
    steps = (newest_step(run), newest_step(expected))
    assert steps[0] == steps[1], f"ended at step {steps[0]} instead of {steps[1]}"
    variables, expected_variables = read_variables(run), read_variables(expected)
    names = variables.keys() | expected_variables.keys()
    different = {name for name in names if variables.get(name) != expected_variables.get(name)}
    assert not different, f"different variables: {sorted(different)}"
    assert read_metrics(run) == read_metrics(expected), "different metrics.jsonl"
    samples = read_samples(run)  # a run that was stopped has those of further steps
    for name, content in read_samples(expected).items():
        assert samples.get(name) == content, f"different or no samples/{name}"
    assert not unfinished(run), "unfinished files are left"


def newest_step(run):
    return available(run.checkpoints)[-1]


def read_variables(run):
    """{name: (dtype, shape, bytes)} of the variables in the newest checkpoint."""
    reader = tf.train.load_checkpoint(str(run.checkpoints / f"step-{newest_step(run)}"))
    # The graph of objects is no variable.
    names = [name for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name]
    tensors = {name: reader.get_tensor(name) for name in names}
    return {name: (value.dtype, value.shape, value.tobytes()) for name, value in tensors.items()}


def read_metrics(run):
    """The lines of metrics.jsonl without speed and time."""
    return [
        {name: value for name, value in line.items() if name not in _OF_THE_MOMENT}
        for line in map(json.loads, run.metrics.read_text().splitlines())
    ]


def read_samples(run):
    return {path.name: path.read_bytes() for path in run.samples.iterdir()}


def assert_time_fell(run):
    """AssertionError unless a line of metrics.jsonl is of an earlier time than the one before."""
    times = [line["time"] for line in run.read_metrics()]
    assert times != sorted(times), "the clock was never set back: nothing was tested"
