"""python -m tools.benchmark --workload=lsun112 ...: how fast a training step is on this machine.

Prints one line: workload=... dtype=... batch=... median_step_s=... images_per_second=...
A step is a whole training iteration, one update of D and one of G, on data in memory; compilation
is left out. The workload `input` times the input pipeline instead, on 112-pixel PNG records that
it writes to a temporary directory; `features` the extraction of --features from 32-pixel images in
memory.

With --recipe=NAME a step is one of flags/NAME.flags: its networks, objective, penalty and schedule,
n_critic updates of D; the line then ends with the seconds that all cores together worked on a
step, which depend less on what else runs, and with the peak of the process's memory.

What distribution costs is the time of a step with --logical_devices=2, say, or of each worker with
--distribution=multi_worker and TF_CONFIG (docs/scaling.md), against that with --baseline, which
takes no tf.distribute strategy at all; the global batch is the same in all of them.
"""

import dataclasses
import os
import resource
import shlex
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import flags

from lsgan_tf import datasets, recipes
from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError

from . import convert_images, step_profile

# What a step is timed on; the learning rate and the labels do not change the time.
WORKLOADS = {
    "lsun112": {"network": "scene"},
    "cifar10": {"network": "dcgan", "dataset": "cifar10"},
    "digits": {"network": "digit"},
    "light": {"network": "light"},
    "character": {"network": "character", "conditional": True},
}
DEFAULT_BATCH = {"lsun112": 16, "features": 50}  # 64 for the others

INPUT_IMAGES = 2048

_WORKLOAD = flags.DEFINE_enum(
    "workload", "lsun112", [*WORKLOADS, "input", "features"], "What to time."
)
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "Precision of the step.")
_TRAIN_FLAGS = flags.DEFINE_string(
    "train_flags",
    "",
    "With a workload that trains: flags of lsgan_tf.train that change the step, e.g. "
    "'--penalty=r1 --discriminator_norm=none'.",
)
_RECIPE = flags.DEFINE_string("recipe", "", "Time a step of this recipe of flags/ instead.")
_SIDE = flags.DEFINE_integer("side", 0, "Of images, where the pair leaves it open; 0: the data's.")
_CLASSES = flags.DEFINE_integer("classes", 3740, "Of a conditional pair.", 1)
_BATCH = flags.DEFINE_integer(
    "batch",
    0,
    "Images per step; default 16 for lsun112, 50 for features, the recipe's, and "
    "64 for the others.",
    0,
)
_STEPS = flags.DEFINE_integer("steps", 6, "Calls to time, after two to warm up.", lower_bound=1)
_FEATURES = flags.DEFINE_string(
    "features", "inception-2015", "With --workload=features: as of lsgan_tf.evaluate."
)
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "With --workload=features: as of evaluate.")
_BASELINE = flags.DEFINE_boolean(
    "baseline", False, "Without a tf.distribute strategy, to compare --distribution with."
)
_DISTRIBUTION = flags.DEFINE_enum(
    "distribution", "mirrored", ["mirrored", "one_device", "multi_worker"], "As in lsgan_tf.train."
)
_LOGICAL_DEVICES = flags.DEFINE_integer("logical_devices", 1, "As in lsgan_tf.train.", 1)
_SYNC = flags.DEFINE_boolean("sync_batch_norm", True, "As in lsgan_tf.train.")
_STEPS_A_CALL = flags.DEFINE_integer("steps_a_call", 1, "Steps in each call.", 1)
_PROFILE = flags.DEFINE_string(
    "profile", "", "A folder for a trace: prints where a step's time goes, by kind of operation."
)


def main():
    if _BASELINE.value and (_DISTRIBUTION.present or _LOGICAL_DEVICES.present):
        raise UserError("--baseline goes without --distribution and --logical_devices.")
    if _PROFILE.value and (_LOGICAL_DEVICES.value > 1 or _STEPS_A_CALL.value > 1):
        raise UserError("--profile goes without --logical_devices and --steps_a_call.")
    command_line.start_tensorflow()
    if _PROFILE.value:
        import tensorflow as tf

        tf.config.threading.set_inter_op_parallelism_threads(1)  # see `step_profile.profile`
    if _RECIPE.value:
        _time_recipe()
        return
    batch = _BATCH.value or DEFAULT_BATCH.get(_WORKLOAD.value, 64)
    if _WORKLOAD.value == "input":
        median, _ = _input_pipeline(batch)
    elif _WORKLOAD.value == "features":
        median, _ = _extraction(batch)
    else:
        config = _read_train_flags()
        workload = WORKLOADS[_WORKLOAD.value]
        median, _ = _training_step(dataclasses.replace(config, **workload, batch_size=batch))
    print(f"workload={_WORKLOAD.value} {_line(batch, median)}")


def _read_train_flags():
    values = flags.FlagValues()
    recipes.define_flags(values)
    try:
        values(["train", *shlex.split(_TRAIN_FLAGS.value)])
    except (flags.Error, ValueError) as error:
        raise UserError(f"--train_flags: {error}") from None
    return recipes.from_flags(values)


def _time_recipe():
    config = recipes.read(recipes.RECIPES / f"{_RECIPE.value}.flags").config
    if _BATCH.value:
        config = dataclasses.replace(config, batch_size=_BATCH.value)
    median, busy = _training_step(config)
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


def _training_step(config):
    """Medians of a training step on images in memory: (seconds, seconds that all cores together
    worked)."""
    import tensorflow as tf

    from lsgan_tf.networks import PAIRS
    from lsgan_tf.training import build, devices

    steps = _STEPS_A_CALL.value
    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[_DTYPE.value]
    config = dataclasses.replace(
        config,
        dtype_policy=policy,
        distribution=_DISTRIBUTION.value,
        logical_devices=_LOGICAL_DEVICES.value,
        sync_batch_norm=_SYNC.value,
    )
    image_shape = PAIRS[config.network].image_shape or _find_shape(config)
    class_names = tuple(map(str, range(_CLASSES.value))) if config.conditional else None
    strategy = _strategy(config)
    with strategy.scope():
        gan = build.gan(config, image_shape, class_names)
    rng = np.random.default_rng(0)
    batch = rng.uniform(-1, 1, (config.batch_size, *image_shape)).astype(np.float32)
    if config.conditional:
        batch = (batch, rng.integers(0, _CLASSES.value, config.batch_size, np.int32))
    replicas = strategy.num_replicas_in_sync

    def slices(_):
        own = tf.nest.map_structure(lambda part: part[: config.batch_size // replicas], batch)
        return gan.grouped(tf.data.Dataset.from_tensors(own).cache().repeat())

    iterator = iter(devices.spread(strategy, slices))

    def call():
        return int(gan.run_steps(iterator, steps, measured=False)["step"])

    medians = tuple(median / steps for median in _medians(call))
    if _PROFILE.value:
        one_step = tf.function(lambda batch: strategy.run(gan.train_step, batch), autograph=False)
        graph = one_step.get_concrete_function((next(iterator),)).graph
        dtype = gan.generator.compute_dtype
        print(step_profile.profile(call, graph, dtype, Path(_PROFILE.value)))
    return medians


def _find_shape(config):
    """Of the images of the recipe's data set, if it is known before there is one."""
    if _SIDE.value:
        return (_SIDE.value, _SIDE.value, 3)
    known = datasets.expected(config.dataset, image_size=config.image_size)
    if known is None:
        raise UserError(f"--side is missing: images of {config.dataset} may have any.")
    return known.image_shape


def _strategy(config):
    import tensorflow as tf

    from lsgan_tf.training import devices

    if _BASELINE.value:
        return tf.distribute.get_strategy()
    strategy, _ = devices.strategy_and_workers(config)
    return strategy


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
    from lsgan_tf.metrics.extractor import Extractor
    from lsgan_tf.metrics.features import Choice

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
    command_line.run(main)
