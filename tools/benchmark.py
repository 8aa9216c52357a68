"""python -m tools.benchmark --workload=lsun112 ...: how fast a training step is on this machine.

Prints one line: workload=... dtype=... batch=... median_step_s=... images_per_second=...
A step is a whole training iteration, one update of D and one of G, on data in memory; compilation
is left out. A step of the workload `mixture` is so short that it is timed as its recipe runs it,
500 in a call. The workload `input` times the input pipeline instead, on 112-pixel PNG records that
it writes to a temporary directory; `features` the extraction of --features from 32-pixel images in
memory, which tools/peer_features.py does in PyTorch.

With --recipe=NAME a step is one of flags/NAME.flags: its networks, objective, penalty and schedule,
n_critic updates of D; the line then ends with the seconds that all cores together worked on a
step, which depend less on what else runs, and with the peak of the process's memory.
"""

import dataclasses
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import flags

from lsgan_tf import command, recipes
from lsgan_tf.config import Config
from tools import convert_images

# What a step is timed on; the learning rate and the labels do not change the time.
WORKLOADS = {"lsun112": "scene", "digits": "digit", "light": "light", "mixture": "mixture"}
DEFAULT_BATCH = {"lsun112": 16, "mixture": 512, "features": 50}  # 64 for the others
STEPS_A_CALL = {"mixture": 500}  # 1 for the others

INPUT_IMAGES = 2048

_WORKLOAD = flags.DEFINE_enum(
    "workload", "lsun112", [*WORKLOADS, "input", "features"], "What to time."
)
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "Precision of the step.")
_RECIPE = flags.DEFINE_string("recipe", "", "Time a step of this recipe of flags/ instead.")
_SIDE = flags.DEFINE_integer("side", 64, "With --recipe: of images where the pair leaves it open.")
_CLASSES = flags.DEFINE_integer("classes", 3740, "With --recipe: classes of a conditional pair.", 1)
_BATCH = flags.DEFINE_integer(
    "batch",
    0,
    "Images per step; default 16 for lsun112, 512 for mixture, 50 for features, the recipe's, and "
    "64 for the others.",
    0,
)
_STEPS = flags.DEFINE_integer("steps", 6, "Calls to time, after two to warm up.", lower_bound=1)
_FEATURES = flags.DEFINE_string(
    "features", "inception-2015", "With --workload=features: as of lsgan_tf.evaluate."
)
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "With --workload=features: as of evaluate.")
_DISTRIBUTION = flags.DEFINE_enum(
    "distribution", "mirrored", ["mirrored", "one_device"], "As in lsgan_tf.train."
)


def main():
    command.start_tensorflow()
    if _RECIPE.value:
        _time_recipe()
        return
    batch = _BATCH.value or DEFAULT_BATCH.get(_WORKLOAD.value, 64)
    if _WORKLOAD.value == "input":
        median, _ = _input_pipeline(batch)
    elif _WORKLOAD.value == "features":
        median, _ = _extraction(batch)
    else:
        config = Config(network=WORKLOADS[_WORKLOAD.value], batch_size=batch)
        median, _ = _training_step(config, STEPS_A_CALL.get(_WORKLOAD.value, 1))
    print(f"workload={_WORKLOAD.value} {_line(batch, median)}")


def _time_recipe():
    config = recipes.read(recipes.RECIPES / f"{_RECIPE.value}.flags").config
    if _BATCH.value:
        config = dataclasses.replace(config, batch_size=_BATCH.value)
    median, busy = _training_step(config, STEPS_A_CALL.get(config.network, 1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(
        f"recipe={_RECIPE.value} {_line(config.batch_size, median)} "
        f"median_core_s={busy:.5f} peak_gib={peak:.1f}"
    )


def _line(batch, median):
    return (
        f"dtype={_DTYPE.value} batch={batch} "
        f"median_step_s={median:.5f} images_per_second={batch / median:.2f}"
    )


def _training_step(config, steps):
    """Medians of a training step on images in memory, of calls of so many steps: (seconds,
    seconds that all cores together worked)."""
    import tensorflow as tf

    from lsgan_tf import building, distribution
    from lsgan_tf.networks import PAIRS

    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[_DTYPE.value]
    config = dataclasses.replace(
        config, dtype_policy=policy, distribution=_DISTRIBUTION.value, logical_devices=1
    )
    image_shape = PAIRS[config.network].image_shape or (_SIDE.value, _SIDE.value, 3)
    class_names = tuple(map(str, range(_CLASSES.value))) if config.conditional else None
    strategy = distribution.strategy(config)
    with strategy.scope():
        gan = building.gan(config, image_shape, class_names)
    rng = np.random.default_rng(0)
    batch = rng.uniform(-1, 1, (config.batch_size, *image_shape)).astype(np.float32)
    if config.conditional:
        batch = (batch, rng.integers(0, _CLASSES.value, config.batch_size, np.int32))
    dataset = tf.data.Dataset.from_tensors(batch).cache().repeat()
    iterator = iter(strategy.experimental_distribute_dataset(gan.grouped(dataset)))

    def call():
        return float(gan.run_steps(iterator, steps)["d_loss"])

    return tuple(median / steps for median in _medians(call))


def _input_pipeline(batch):
    """Medians per batch of the input pipeline, as of a training step, over blocks long enough to
    outlast what it has prefetched."""
    from lsgan_tf.datasets import load

    with tempfile.TemporaryDirectory() as directory:
        _write_records(Path(directory) / "noise")
        iterator = iter(load("noise", directory).batches(seed=0, step=0, batch_size=batch))
        block = -(-INPUT_IMAGES // batch)

        def deliver():
            for _ in range(block):
                next(iterator)

        return tuple(median / block for median in _medians(deliver))


def _extraction(batch):
    """Medians of the features of a batch of colour images."""
    from lsgan_tf.metrics.features import Choice, Extractor

    network = Choice(_FEATURES.value, data_dir=_DATA_DIR.value).load("")
    extractor = Extractor(network, (32, 32, 3), batch_size=batch, dtype=_DTYPE.value)
    images = np.random.default_rng(0).integers(0, 256, (batch, 32, 32, 3), np.uint8)
    return _medians(lambda: extractor(images))


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


def _medians(step):
    for _ in range(2):
        step()
    seconds, core_seconds = [], []
    for _ in range(_STEPS.value):
        start, start_of_work = time.perf_counter(), time.process_time()
        step()
        seconds.append(time.perf_counter() - start)
        core_seconds.append(time.process_time() - start_of_work)
    return statistics.median(seconds), statistics.median(core_seconds)


if __name__ == "__main__":
    command.run(main)
