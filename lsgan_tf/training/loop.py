"""The training loop: from a `Config` to a finished run directory."""

import contextlib
import dataclasses
import importlib.metadata
import math
import time

import tensorflow as tf

from lsgan_tf import datasets
from lsgan_tf.config import OF_THIS_MACHINE
from lsgan_tf.runs.checkpoints import available
from lsgan_tf.runs.run_directory import DataFacts, Run
from lsgan_tf.training import build, devices
from lsgan_tf.training.recorder import Chief
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.signals import StopRequest

_CALL_SECONDS = 0.5  # what a call of the compiled graph is to take: a signal waits for its end
_MOST_STEPS = 1000  # of one call


def train(config, allow_config_change=False):
    """Trains until step `config.train_steps`, from the run's newest checkpoint if it has one.

    Returns when the target is reached or when SIGTERM or SIGINT asked to stop, one worker of
    several being enough; both leave a checkpoint of the last step.

    Raises:
      UserError: if the flags, the data or the run directory do not allow it, if a record is
        damaged, if the training diverges, or if another worker was lost.
    """
    strategy, workers = devices.strategy_and_workers(config)
    # From here on: a signal while the graph compiles waits too.
    with StopRequest() as stop, workers.together():
        dataset = datasets.load(config.dataset, config.data_dir, image_size=config.image_size)
        workers.agree(_facts(config, dataset, strategy.num_replicas_in_sync))
        with strategy.scope():
            gan = build.gan(config, dataset.image_shape, dataset.class_names)
        with contextlib.ExitStack() as held:
            chief = None
            if workers.is_chief:
                local = strategy if workers.count == 1 else None
                chief = Chief(config, strategy, dataset, gan, stop, local, workers.count)

            def begin():
                held.enter_context(chief.run.locked())
                return chief.begin(allow_config_change)

            step = workers.from_chief(begin)
            if step is not None:
                workers.share(gan.state)
                training = _Training(config, strategy, workers, dataset, gan, chief, stop)
                training.go_on_from(step)


def _facts(config, dataset, replicas):
    """What all workers of a run must have in common."""
    own = (*OF_THIS_MACHINE, "worker_timeout")
    flags = {f"--{k}": v for k, v in vars(config).items() if k not in own}
    data = {f"the data set's {k}": v for k, v in dataclasses.asdict(DataFacts.of(dataset)).items()}
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras")}
    return {**flags, **data, **versions, "number of replicas": replicas}


@dataclasses.dataclass(frozen=True)
class Due:
    """What is due at a step: everything, at the last one."""

    log: bool
    sample: bool
    checkpoint: bool
    score: bool

    @classmethod
    def at(cls, step, config):
        last = step == config.train_steps
        return cls(
            log=last or step % config.log_every == 0,
            sample=last or step % config.sample_every == 0,
            checkpoint=last or step % config.checkpoint_every == 0,
            score=config.eval_every > 0 and (last or step % config.eval_every == 0),
        )


class _Training:
    """One process's share of a run; `chief` is None on all workers but one."""

    def __init__(self, config, strategy, workers, dataset, gan, chief, stop):
        self._config, self._strategy, self._workers = config, strategy, workers
        self._dataset, self._gan, self._chief, self._stop = dataset, gan, chief, stop
        self._pace = _Pace(config.steps_per_execution)

    def go_on_from(self, step):
        """Trains from `step` to the target, or until a worker was asked to stop."""
        if self._chief:
            self._chief.open(step)
        iterator = iter(batches(self._config, self._strategy, self._dataset, self._gan, step))
        while step < self._config.train_steps:
            asked = self._stop.received is not None
            asked, most = self._workers.total([asked, self._pace.steps if self._chief else 0])
            if asked:
                break
            step = self._execute(iterator, step, most)
            self._after(step)
        values = self._metrics(step)  # of all workers: they exchange them
        if self._chief:
            self._chief.close(step, values)
        self._workers.total([0, 0])  # nobody leaves before the last step is saved

    def _execute(self, iterator, step, most):
        """Runs to the next step at which something is due, at most so many steps; returns that
        step."""
        config = self._config
        cadences = (
            config.log_every,
            config.sample_every,
            config.checkpoint_every,
            config.eval_every,
        )
        due = min(step - step % every + every for every in cadences if every)
        end = min(step + most, due, config.train_steps)
        with self._chief.training() if self._chief else contextlib.nullcontext():
            try:
                with self._pace.measured(end - step):
                    done = self._gan.run_steps(iterator, end - step, measured=False)
                    int(done["step"])  # wait until it is: a GPU answers before it has finished
            except tf.errors.OpError as error:
                damaged = self._dataset.explain(error)
                if damaged:
                    raise damaged from None
                raise
        return end

    def _after(self, step):
        """Has what is due at a step recorded."""
        due = Due.at(step, self._config)
        if not any(dataclasses.astuple(due)):
            return
        values = self._metrics(step)  # never sample or save what has diverged
        if due.log:
            self._gan.reset_metrics()
        if self._chief:
            self._chief.record(step, values, due)

    def _metrics(self, step):
        """The mean metrics since the last log line, as floats.

        Raises:
          UserError: if one is not finite: a mean remembers every step that went into it.
        """
        with self._chief.training() if self._chief else contextlib.nullcontext():
            values = {metric.name: float(metric.result()) for metric in self._gan.metrics}
        broken = [name for name, value in values.items() if not math.isfinite(value)]
        if broken:
            first = (step - 1) // self._config.log_every * self._config.log_every + 1
            raise UserError(
                f"{' and '.join(broken)} became NaN or infinite between step {first} and {step}. "
                f"{self._kept()} Try a smaller --learning_rate or other labels "
                "(--label_a=0 --label_b=1 --label_c=1), with --allow_config_change to go on from "
                f"a checkpoint{self._precision_advice()}."
            )
        return values

    def _precision_advice(self):
        if self._config.dtype_policy == "mixed_float16":  # whose checkpoints have scales, too
            return "; or --dtype_policy=mixed_bfloat16 in a new run"
        return "" if self._config.dtype_policy == "float32" else "; or --dtype_policy=float32"

    def _kept(self):
        if not self._chief:
            return "Worker 0 says which checkpoint is kept."
        steps = available(Run(self._config.run_dir).checkpoints)
        return f"The checkpoint of step {steps[-1]} is kept." if steps else "No checkpoint yet."


def batches(config, strategy, dataset, gan, step):
    """What `gan.run_steps` takes from `step` on: each replica's slices of the batches, read by the
    worker that has the replica. Together the slices cover each epoch exactly once."""
    replicas = strategy.num_replicas_in_sync

    def pipeline(context):
        own = replicas // context.num_input_pipelines
        slices = dataset.batches(
            seed=config.seed,
            step=step * gan.n_critic,  # a batch for each step of D
            batch_size=config.batch_size,
            num_slices=replicas,
            slice_offset=context.input_pipeline_id * own,
            slices_per_step=own,
            value_range=gan.generator.value_range,
            labelled=config.conditional,
        )
        return gan.grouped(slices)

    return devices.spread(strategy, pipeline)


class _Pace:
    """How many steps a call of the compiled graph takes. It changes nothing but the speed."""

    def __init__(self, wanted):
        self._wanted = wanted  # 0: as many as take `_CALL_SECONDS`
        self.steps = wanted or 1

    @contextlib.contextmanager
    def measured(self, steps):
        """Learns from a call of so many steps."""
        start = time.perf_counter()
        yield
        if not self._wanted:
            fitting = steps * _CALL_SECONDS / (time.perf_counter() - start)
            self.steps = max(1, min(int(fitting), _MOST_STEPS))


def describe(config):
    """Prints the resolved flags, the layers and the parameter counts of a run; writes nothing,
    not even the data set.

    Raises:
      UserError: as `train` does.
    """
    if config.distribution not in ("multi_worker", "tpu"):  # those meet others, or may not be here
        devices.strategy(config)
    data = datasets.facts(config.dataset, config.data_dir, image_size=config.image_size)
    gan = build.gan(config, data.image_shape, data.class_names)
    print(config.to_flagfile() + f"--run_dir={config.run_dir}\n--data_dir={config.data_dir}")
    count = "not yet prepared:" if data.num_examples is None else data.num_examples
    print(f"# {count} images of {data.image_shape}")
    for network in (gan.generator, gan.discriminator):
        network.summary(expand_nested=True, line_length=100)
