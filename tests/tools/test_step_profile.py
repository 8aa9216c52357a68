"""Counting a step's arithmetic, and the table of where its time goes."""

import pytest
import tensorflow as tf

from tests import forking
from tools import step_profile


def _graph(function, *shapes):
    specs = [tf.TensorSpec(shape) for shape in shapes]
    return tf.function(function).get_concrete_function(*specs).graph


def test_multiplications_and_additions_are_counted_by_kind():
    def step(images, kernel, matrix):
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            maps = tf.nn.conv2d(images, kernel, 2, "SAME")
        by_images, by_kernel = tape.gradient(maps, [images, kernel])
        unused = tf.matmul(matrix, matrix)  # nothing depends on it
        del unused
        product = tf.matmul(matrix, matrix[:, :5], transpose_a=True)
        return by_images, by_kernel, maps, product

    counts = step_profile.count_operations(_graph(step, (2, 8, 8, 3), (5, 5, 3, 7), (6, 6)))
    convolution = 2 * (2 * 4 * 4) * (5 * 5 * 3 * 7)  # two a weight, at each output of each image
    assert counts == {
        "convolution": convolution,
        "gradient of the input": convolution,
        "gradient of the kernel": convolution,
        "matrix product": 2 * 6 * 5 * 6,
    }


def test_the_benchmark_prints_a_table_and_writes_a_trace(tmp_path):
    flags = ["--workload=light", "--batch=4", "--steps=1", f"--profile={tmp_path}"]
    done = forking.run("tools.benchmark", *flags)
    assert done.returncode == 0, done.stderr
    rows = {line[:22].strip(): line[22:].split() for line in done.stdout.splitlines()}
    for kind in ("convolution", "gradient of the kernel", "matrix product"):
        milliseconds, _, speed = rows[kind]
        assert float(milliseconds) > 0
        assert float(speed) > 0
    kinds = sum(float(rows[kind][0]) for kind in step_profile.KINDS)
    assert kinds <= float(rows["step"][0])  # they ran one after another
    assert "ceiling (matrix product)" in done.stdout
    assert list(tmp_path.rglob("*.xplane.pb"))


@pytest.mark.parametrize("flag", ["--logical_devices=2", "--steps_a_call=3"])
def test_a_profile_is_of_one_step_on_one_device(flag, tmp_path):
    done = forking.run("tools.benchmark", f"--profile={tmp_path}", flag)
    assert done.returncode == 1
    assert "--profile goes without --logical_devices and --steps_a_call" in done.stderr
