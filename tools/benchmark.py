"""python -m tools.benchmark --workload=lsun112 ...: how fast a training step is on this machine.

Prints one line: workload=... dtype=... batch=... median_step_s=... images_per_second=...
A step is a whole training iteration, one update of D and one of G, on data in memory; compilation
is left out. A step of the workload `mixture` is so short that it is timed as its recipe runs it,
500 in a call. The workload `input` times the input pipeline instead, on 112-pixel PNG records that
it writes to a temporary directory.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import flags

from lsgan_tf import command
from lsgan_tf.config import Config
from tools import convert_images

# What a step is timed on; the learning rate and the labels do not change the time.
WORKLOADS = {"lsun112": "scene", "digits": "digit", "light": "light", "mixture": "mixture"}
DEFAULT_BATCH = {"lsun112": 16, "mixture": 512}  # 64 for the others
STEPS_A_CALL = {"mixture": 500}  # 1 for the others

INPUT_IMAGES = 2048

_WORKLOAD = flags.DEFINE_enum("workload", "lsun112", [*WORKLOADS, "input"], "What to time.")
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "Precision of the step.")
_BATCH = flags.DEFINE_integer(
    "batch", 0, "Images per step; default 16 for lsun112, 512 for mixture, 64 for the others.", 0
)
_STEPS = flags.DEFINE_integer("steps", 6, "Calls to time, after two to warm up.", lower_bound=1)
_DISTRIBUTION = flags.DEFINE_enum(
    "distribution", "mirrored", ["mirrored", "one_device"], "As in lsgan_tf.train."
)


def main():
    command.start_tensorflow()
    batch = _BATCH.value or DEFAULT_BATCH.get(_WORKLOAD.value, 64)
    time_step = _input_pipeline if _WORKLOAD.value == "input" else _training_step
    median = time_step(batch)
    print(
        f"workload={_WORKLOAD.value} dtype={_DTYPE.value} batch={batch} "
        f"median_step_s={median:.5f} images_per_second={batch / median:.2f}"
    )


def _training_step(batch):
    """Median seconds of a training step on images in memory."""
    import tensorflow as tf

    from lsgan_tf import building
    from lsgan_tf.networks import PAIRS

    network = WORKLOADS[_WORKLOAD.value]
    image_shape = PAIRS[network].image_shape
    config = Config(
        network=network,
        batch_size=batch,
        dtype_policy={"float32": "float32", "bfloat16": "mixed_bfloat16"}[_DTYPE.value],
        distribution=_DISTRIBUTION.value,
    )
    strategy = building.strategy(config)
    with strategy.scope():
        gan = building.gan(config, image_shape, None)
    images = np.random.default_rng(0).uniform(-1, 1, (batch, *image_shape))
    dataset = tf.data.Dataset.from_tensors(images.astype(np.float32)).cache().repeat()
    iterator = iter(strategy.experimental_distribute_dataset(dataset))

    steps = STEPS_A_CALL.get(_WORKLOAD.value, 1)

    def call():
        return float(gan.run_steps(iterator, steps)["d_loss"])

    return _median_seconds(call) / steps


def _input_pipeline(batch):
    """Median seconds per batch of the input pipeline, over blocks long enough to outlast what it
    has prefetched."""
    from lsgan_tf.datasets import load

    with tempfile.TemporaryDirectory() as directory:
        _write_records(Path(directory) / "noise")
        iterator = iter(load("noise", directory).batches(seed=0, step=0, batch_size=batch))
        block = -(-INPUT_IMAGES // batch)

        def deliver():
            for _ in range(block):
                next(iterator)

        return _median_seconds(deliver) / block


def _write_records(directory):
    """Converts smooth random pictures, which take about as many PNG bytes as photographs."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (INPUT_IMAGES, 14, 14, 3), np.uint8)
    source = directory.with_suffix(".npz")
    fine = coarse.repeat(8, axis=1).repeat(8, axis=2)
    noise = rng.integers(0, 24, fine.shape, np.uint8)
    np.savez(source, images=np.minimum(fine, 231) + noise)
    options = convert_images.Options(image_size=112, processes=os.cpu_count())
    convert_images.convert(source, directory, options)


def _median_seconds(step):
    for _ in range(2):
        step()
    seconds = []
    for _ in range(_STEPS.value):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    command.run(main)
