"""The training loop: from a `Config` to a finished run directory."""

import contextlib
import dataclasses
import functools
import importlib.metadata
import re
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import tensorflow as tf

from lsgan_tf import datasets
from lsgan_tf.config import OF_THIS_MACHINE, Config
from lsgan_tf.datasets.dataset import Dataset
from lsgan_tf.gan.callbacks import name_broken
from lsgan_tf.gan.model import GAN
from lsgan_tf.runs.run_directory import DataFacts
from lsgan_tf.training import build, devices
from lsgan_tf.training.cadences import Cadences
from lsgan_tf.training.recorder import NoRecorder, Recorder
from lsgan_tf.utils import graphs
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.signals import StopRequest

_CALL_SECONDS = 0.5  # how long a call of the compiled graph takes: a signal waits for its end
_MOST_STEPS = 1000  # of one call


def train(config: Config, allow_config_change: bool = False) -> None:
    """Trains until step `config.train_steps`, from the run's newest checkpoint if it has one.

    Returns when the target is reached or when a signal asked one of the workers to stop. Both
    leave a checkpoint of the last step.

    Args:
        config: the run.
        allow_config_change: resume under flags that differ from those of the run directory.

    Raises:
        UserError: the flags, the data or the run directory do not allow it, a record is damaged,
            the training diverges, or another worker is lost.
    """
    strategy, workers = devices.strategy_and_workers(config)
    # From here on a signal waits for the end of a step, while the graph compiles as well.
    with StopRequest() as stop, workers.together():
        dataset = datasets.load(config.dataset, config.data_dir, image_size=config.image_size)
        workers.agree(_facts(config, dataset, strategy.num_replicas_in_sync))
        with strategy.scope():
            gan = build.gan(config, dataset.image_shape, dataset.class_names)
        recorder = NoRecorder()
        if workers.is_chief:
            recorder = Recorder(config, strategy, dataset, gan, stop, workers.count)
        with recorder:
            step, unfinished = workers.from_chief(lambda: recorder.restore(allow_config_change))
            if unfinished:
                workers.share(gan.state)
                _train_from(step, config, strategy, workers, dataset, gan, recorder, stop)


def train_run(config: Config, allow_config_change: bool = False) -> Path:
    """`train`, for a notebook, a script or a thread: in this process, which stays as it was.

    A signal, Ctrl-C or a notebook's Stop, ends it after the step, with everything saved; outside
    of the main thread signals are left alone.

    Args:
        config: the run. Without `run_dir` it goes into runs/DATASET.
        allow_config_change: resume under settings that differ from those of the run directory.

    Returns:
        The run directory.

    Raises:
        UserError: as `train`.
    """
    if not config.run_dir:
        run_dir = Path("runs") / re.sub(r"\W+", "_", config.dataset)
        config = dataclasses.replace(config, run_dir=str(run_dir))
    policy = keras.config.dtype_policy()
    try:
        train(config, allow_config_change)
    finally:
        keras.config.set_dtype_policy(policy)
    return Path(config.run_dir)


def _train_from(step, config, strategy, workers, dataset, gan, recorder, stop):
    """Trains from `step` on. All workers take the same way through this function."""
    iterator = iter(batches(config, strategy, dataset, gan, step))
    cadences, pace = Cadences(config), _Pace(config.steps_per_execution)
    recorder.start(step)

    with stop.holding():
        while step < config.train_steps:
            # Stop when one of the workers is asked to.
            if workers.any(stop.received is not None):
                break

            # Run to the next step at which something is due, or as many steps as a call takes.
            end = min(cadences.next_due(step), step + workers.broadcast(pace.steps))
            with recorder.timed(), pace.measured(end - step):
                _run_steps(gan, iterator, end - step, dataset)
            step = end
            # A stop leaves what is due to `finish`: whoever asks may not wait for more than a save.
            if cadences.anything_is_due(step) and not workers.any(stop.received is not None):
                _do_what_is_due(step, cadences, config, gan, recorder)
            read_metrics = functools.partial(_finite_metrics, gan, step, config, recorder)
            recorder.show_progress(step, read_metrics)

        metrics = _finite_metrics(gan, step, config, recorder)
        recorder.keep(step)
    recorder.finish(step, metrics)
    workers.barrier()  # no worker leaves before the last step is saved


def _do_what_is_due(step, cadences, config, gan, recorder):
    # What has diverged is neither logged nor sampled nor saved.
    with recorder.timed():
        metrics = _finite_metrics(gan, step, config, recorder)
    if cadences.log_is_due(step):
        recorder.log(step, metrics)
        gan.reset_metrics()
    if cadences.checkpoint_is_due(step):
        recorder.save(step)  # and sample
    elif cadences.sample_is_due(step):
        recorder.sample(step)
    if cadences.score_is_due(step):
        recorder.score(step)


def _run_steps(gan, iterator, steps, dataset):
    """Runs so many steps; a damaged record becomes a `UserError` that names it."""
    try:
        with _rewriting():
            done = gan.run_steps(iterator, steps, measured=False)
        int(done["step"])  # wait for it: on a GPU the call returns before the steps are done
    except tf.errors.OpError as error:
        damaged = dataset.explain(error)
        if damaged:
            raise damaged from None
        raise


def _rewriting():
    """How TensorFlow's optimizer rewrites the graph of the steps.

    Its fusing of layers gains nothing here on a CPU, where no gradient follows a fused layer, and
    on some graphs fails with a line to stderr.
    """
    if tf.config.list_physical_devices("GPU"):
        return contextlib.nullcontext()
    return graphs.optimizer_option("remapping", False)


def _finite_metrics(gan, step, config, recorder):
    """The means of the metrics since the last log line, as floats by name.

    All workers must call it: they exchange their metrics.

    Raises:
        UserError: one is not finite. A mean keeps the NaN of any step that went into it.
    """
    metrics = {metric.name: float(metric.result()) for metric in gan.metrics}
    broken = name_broken(metrics)
    if broken:
        first = (step - 1) // config.log_every * config.log_every + 1
        raise UserError(
            f"{' and '.join(broken)} became NaN or infinite between step {first} and {step}. "
            f"{recorder.describe_kept_checkpoint()} Try a smaller --learning_rate or other labels "
            "(--label_a=0 --label_b=1 --label_c=1), with --allow_config_change to go on from "
            f"a checkpoint{_precision_advice(config)}."
        )
    return metrics


def _precision_advice(config):
    if config.dtype_policy == "mixed_float16":  # its checkpoints hold loss scales as well
        return "; or --dtype_policy=mixed_bfloat16 in a new run"
    return "" if config.dtype_policy == "float32" else "; or --dtype_policy=float32"


def _facts(config, dataset, replicas):
    """What all workers of a run must have in common, by name."""
    of_one_worker = (*OF_THIS_MACHINE, "worker_timeout")
    flags = {f"--{k}": v for k, v in vars(config).items() if k not in of_one_worker}
    data = {f"the data set's {k}": v for k, v in dataclasses.asdict(DataFacts.of(dataset)).items()}
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras")}
    return {**flags, **data, **versions, "number of replicas": replicas}


def batches(
    config: Config,
    strategy: tf.distribute.Strategy,
    dataset: Dataset,
    gan: GAN,
    step: int,
) -> tf.data.Dataset:
    """What `GAN.run_steps` takes from `step` on.

    Each worker reads the slices of its own replicas. Together the slices cover each epoch exactly
    once.
    """
    replicas = strategy.num_replicas_in_sync

    def read_slices(context):
        per_worker = replicas // context.num_input_pipelines
        slices = dataset.batches(
            seed=config.seed,
            step=step * gan.n_critic,  # a batch for each step of D
            batch_size=config.batch_size,
            num_slices=replicas,
            slice_offset=context.input_pipeline_id * per_worker,
            slices_per_step=per_worker,
            value_range=gan.generator.value_range,
            labelled=config.conditional,
            mirror=config.mirror,
        )
        return gan.grouped(slices)

    return devices.spread(strategy, read_slices)


class _Pace:
    """How many steps a call of the compiled graph takes, which changes nothing but the speed.

    Args:
        wanted: steps per call; 0: as many as take `_CALL_SECONDS`.
    """

    def __init__(self, wanted: int):
        self._wanted = wanted
        self.steps = wanted or 1

    @contextlib.contextmanager
    def measured(self, steps: int) -> Iterator[None]:
        """Adapts `self.steps` to how long a call of `steps` steps takes."""
        start = time.perf_counter()
        yield
        if not self._wanted:
            fitting = steps * _CALL_SECONDS / (time.perf_counter() - start)
            self.steps = max(1, min(int(fitting), _MOST_STEPS))
