"""What a training run has left on disk, as tests compare it."""

import json

import numpy as np
import tensorflow as tf

from lsgan_tf.runs import checkpoints
from lsgan_tf.runs.run_directory import Run


def read_variables(run_dir, step=None):
    """{name: value} of all variables of a run's checkpoint, both optimizers' included.

    The newest checkpoint if `step` is None.
    """
    directory = Run(run_dir).checkpoints
    step = step or checkpoints.available(directory)[-1]
    reader = tf.train.load_checkpoint(str(directory / f"step-{step}"))
    names = [name for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name]
    return {name: reader.get_tensor(name) for name in names if "save_counter" not in name}


def assert_same_variables(variables, expected):
    assert variables.keys() == expected.keys()
    for name, value in variables.items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def read_lines(path):
    """The objects of a .jsonl file, each line of which must be whole."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def read_events(run_dir):
    """{tag: {step: value}} of everything that TensorBoard would show; values are arrays."""
    values = {}
    for path in sorted(Run(run_dir).directory.glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                assert event.step not in values.setdefault(value.tag, {}), (value.tag, event.step)
                values[value.tag][event.step] = tf.make_ndarray(value.tensor)
    return values
