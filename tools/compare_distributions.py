"""Trains the same few steps on one replica, on several and on several workers, and compares.

    python -m tools.compare_distributions --work_dir=/tmp/equal --networks=scene,digit,character

Each layout trains a pair of networks at its full width on the same generated pictures, from the
same weights and latents, in processes of its own. The tables give, against one replica with one
step a call, the greatest relative difference:

- losses: of the mean losses, scores and gradient norms over all steps, each counting as one at
  least;
- weights: over all variables, moving statistics included, of the root mean square of the
  difference, relative to the variable's, which counts as at least 0.001;
- images: of the generated images of fixed latents in inference mode, of range one or two.

Sums over several replicas are rounded in another order. In float64, where rounding stays small,
this shows that the mathematics are the same. In float32 a difference of 1e-7 lets, sooner or later,
one of a batch's activations fall on the other side of a ReLU's bend; from then on two runs drift
apart, the faster the larger the learning rate. Adam makes steps of one size of any gradient, also
of those that are nothing but rounding, such as a bias's in front of batch norm. The gradients of
the scene networks are large: with SGD they want --learning_rate=1e-4 in float64, 1e-6 in float32.

Exit status 0 says that all is within the tolerance, and that all copies of every variable, on
replicas and on workers, are equal bit for bit.
"""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from absl import flags

from lsgan_tf.config import Config
from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError
from tools import convert_images
from tools.local_cluster import environment, free_addresses

CLASSES = 10
# By precision and optimizer: the learning rate, and the greatest difference to accept.
SETTINGS = {
    ("float64", "sgd"): (1e-2, 1e-9),
    ("float64", "adam"): (2e-4, 1e-6),
    ("float32", "sgd"): (1e-4, 1e-5),
    ("float32", "adam"): (1e-6, 1e-2),
}
_FLOOR = 1e-3  # a variable whose root mean square is below counts as of this size


@dataclasses.dataclass(frozen=True)
class Layout:
    """What a run is spread over."""

    replicas: int = 1
    workers: int = 1
    steps_per_call: int = 1

    def __str__(self):
        over = f"{self.workers} workers" if self.workers > 1 else f"{self.replicas} replica(s)"
        return f"{over}, {self.steps_per_call} step(s) a call"


LAYOUTS = (
    Layout(),
    Layout(steps_per_call=8),
    *(Layout(replicas=n, steps_per_call=k) for n in (2, 4) for k in (1, 8)),
    *(Layout(workers=n, steps_per_call=k) for n in (2, 3) for k in (1, 8)),
)


@dataclasses.dataclass(frozen=True)
class Job:
    """One process's part: a layout and what it trains, as JSON on its command line."""

    network: str
    image_shape: tuple[int, ...]
    conditional: bool
    optimizer: str
    learning_rate: float
    dtype_policy: str
    penalty: str
    steps: int
    data_dir: str
    layout: Layout
    outcome: str  # path without the number of the worker

    @classmethod
    def from_json(cls, text):
        stored = json.loads(text)
        return cls(**{**stored, "layout": Layout(**stored["layout"])})

    def config(self):
        return Config(
            dataset=_data_name(self.image_shape),
            data_dir=self.data_dir,
            network=self.network,
            conditional=self.conditional,
            batch_size=12,  # divides by all numbers of replicas and workers
            dtype_policy=self.dtype_policy,
            penalty=self.penalty,
            learning_rate=self.learning_rate,
            logical_devices=self.layout.replicas,
            distribution="multi_worker" if self.layout.workers > 1 else "mirrored",
            worker_timeout=120,
        )


def main():
    if flags.FLAGS.job:
        command_line.start_tensorflow()
        train(Job.from_json(flags.FLAGS.job))
        return
    if not flags.FLAGS.work_dir:
        raise UserError("--work_dir is missing: a new directory for data and outcomes.")
    work = Path(flags.FLAGS.work_dir)
    if work.exists() and any(work.iterdir()):
        raise UserError(f"--work_dir={work} is not empty; choose a new one.")
    command_line.start_tensorflow()
    _check_names()
    sound = [
        _compare(work, network, optimizer)
        for network in flags.FLAGS.networks
        for optimizer in flags.FLAGS.optimizers
    ]
    if not all(sound):
        raise UserError("some layouts differ by more than the tolerance; see above.")


def _check_names():
    from lsgan_tf.networks import PAIRS

    for given, known in ((flags.FLAGS.optimizers, ("sgd", "adam")), (flags.FLAGS.networks, PAIRS)):
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise UserError(f"{', '.join(unknown)} unknown; there are {', '.join(known)}.")


def _compare(work, network, optimizer):
    """Trains a pair in all layouts and prints the table; whether all is within the tolerance."""
    precision, steps = flags.FLAGS.dtype_policy, flags.FLAGS.steps
    tolerance = SETTINGS[precision, optimizer][1]
    print(
        f"\n{network}, {precision}, {optimizer} at {_rate(optimizer):g}, {steps} steps, "
        f"tolerance {tolerance:g}"
    )
    print(f"{'':36} {'losses':>9} {'weights':>9} {'images':>9}  copies")
    first, sound = None, True
    for layout in LAYOUTS:
        outcomes = _outcomes(_job(work, network, optimizer, layout))
        first = first or outcomes[0]
        found = differences(first, outcomes[0])
        equal = copies_are_equal(outcomes)
        sound = sound and equal and all(value <= tolerance for value in found)  # no NaN, either
        told = " ".join(f"{value:9.1e}" for value in found)
        print(f"{layout!s:36} {told}  {'equal' if equal else 'DIFFERENT'}", flush=True)
    return sound


def _rate(optimizer):
    return flags.FLAGS.learning_rate or SETTINGS[flags.FLAGS.dtype_policy, optimizer][0]


def _job(work, network, optimizer, layout):
    from lsgan_tf.networks import PAIRS

    pair = PAIRS[network]
    shape = pair.image_shape or (32, 32, 3)
    _write_data(work / "data" / _data_name(shape), shape)
    label = str(layout).translate(str.maketrans(" ", "_", "(),"))
    return Job(
        network=network,
        image_shape=shape,
        conditional=pair.needs_labels,
        optimizer=optimizer,
        learning_rate=_rate(optimizer),
        dtype_policy=flags.FLAGS.dtype_policy,
        penalty=flags.FLAGS.penalty,
        steps=flags.FLAGS.steps,
        data_dir=str(work / "data"),
        layout=layout,
        outcome=str(work / f"{network}_{optimizer}_{label}"),
    )


def _data_name(shape):
    return f"noise{'x'.join(map(str, shape))}"


def _write_data(directory, shape):
    """Converts coarse random pictures of ten classes."""
    if directory.exists():
        return
    height, width, channels = shape
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (120, -(-height // 4), -(-width // 4), channels), np.uint8)
    fine = coarse.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]
    source = directory.with_suffix(".npz")
    source.parent.mkdir(parents=True, exist_ok=True)
    labels = np.arange(len(fine)) % CLASSES
    names = list(map(str, range(CLASSES)))
    images = fine[..., 0] if channels == 1 else fine
    np.savez(source, images=images, labels=labels, class_names=names)
    convert_images.convert(source, directory, convert_images.Options(image_size=height))


def _outcomes(job):
    """Starts the processes of a job; what each of its workers ended with."""
    count = job.layout.workers
    processes = []
    addresses = free_addresses(count)
    for index in range(count):
        place = environment(addresses, index)
        line = [sys.executable, "-m", "tools.compare_distributions"]
        line.append(f"--job={json.dumps(dataclasses.asdict(job))}")
        with open(f"{job.outcome}-{index}.log", "wb") as log:
            processes.append(subprocess.Popen(line, env=place, stdout=log, stderr=log))
    statuses = [process.wait() for process in processes]
    if any(statuses):
        raise UserError(f"{job.layout} failed; see {job.outcome}-*.log")
    return [_read(f"{job.outcome}-{index}.npz") for index in range(count)]


def _read(path):
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def train(job):
    """Trains a job's share in this process, and writes what it ended with."""
    import keras

    from lsgan_tf import datasets
    from lsgan_tf.training import build, devices, loop

    keras.config.set_floatx("float64" if job.dtype_policy == "float64" else "float32")
    config = job.config()
    strategy, workers = devices.strategy_and_workers(config)
    with workers.together():
        dataset = datasets.load(config.dataset, config.data_dir)
        with strategy.scope():
            gan = build.gan(config, dataset.image_shape, dataset.class_names)
            if job.optimizer == "sgd":
                rates = (config.learning_rate, config.learning_rate)
                gan.compile(*map(keras.optimizers.SGD, rates))
        iterator = iter(loop.batches(config, strategy, dataset, gan, 0))
        for done in range(0, job.steps, job.layout.steps_per_call):
            gan.run_steps(iterator, min(job.layout.steps_per_call, job.steps - done))
        losses = {f"metric {each.name}": float(each.result()) for each in gan.metrics}
        np.savez(f"{job.outcome}-{workers.index}.npz", **losses, **_state(strategy, gan))


def _state(strategy, gan):
    """All variables, images of fixed latents, and whether the copies of replicas are equal."""
    from lsgan_tf.inference import sampler

    equal, values = True, {}
    networks = (gan.generator, gan.discriminator)
    for variable in [each for network in networks for each in network.variables]:
        copies = strategy.experimental_local_results(variable.value)
        equal = equal and all(np.array_equal(copies[0], copy) for copy in copies)
        kind = "trained" if variable.trainable else "moving"
        values[f"{kind} {variable.path}".replace("/", ".")] = copies[0].numpy()
    latents = sampler.draw_latents(gan.generator, 12, 0)
    labels = sampler.labels_for(12, 12, gan.generator.num_classes)
    inputs = (latents,) if labels is None else (latents, labels)
    values["images"] = gan.generator(*inputs, training=False).numpy()
    return {**values, "copies": np.array(equal)}


def differences(first, other):
    """The greatest relative differences of two outcomes: (losses, weights, images)."""
    metrics = [(first[n].item(), other[n].item()) for n in first if n.startswith("metric ")]
    losses = max(abs(one - two) / max(abs(one), 1.0) for one, two in metrics)
    names = [n for n in first if n.startswith(("trained ", "moving "))]
    weights = max(relative(first[name], other[name]) for name in names)
    return losses, weights, float(np.abs(first["images"] - other["images"]).max())


def relative(first, other):
    """Root mean square of the difference, relative to that of the first, at least 0.001."""
    size = np.sqrt(np.mean(np.square(first, dtype=np.float64)))
    difference = np.sqrt(np.mean(np.square(first.astype(np.float64) - other)))
    return float(difference / max(size, _FLOOR))


def copies_are_equal(outcomes):
    """Whether the replicas of every worker agree, and the workers."""
    return all(bool(each["copies"]) for each in outcomes) and all(
        np.array_equal(outcomes[0][name], each[name]) for each in outcomes for name in each
    )


def _define_flags():
    flags.DEFINE_string("work_dir", None, "New directory for data and outcomes.")
    flags.DEFINE_list("networks", ["scene", "digit", "character"], "Pairs to train.")
    flags.DEFINE_list("optimizers", ["sgd", "adam"], "sgd, adam or both.")
    flags.DEFINE_integer("steps", 20, "Steps to train.", 1)
    flags.DEFINE_enum("dtype_policy", "float64", ["float64", "float32"], "Precision.")
    flags.DEFINE_string("penalty", "none", "As of lsgan_tf.train.")
    flags.DEFINE_float("learning_rate", 0.0, "Instead of the usual one here.", 0.0)
    flags.DEFINE_string("job", None, "Of the processes that this starts: what to train, JSON.")


if __name__ == "__main__":
    _define_flags()
    command_line.run(main)
