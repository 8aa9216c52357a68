"""The training loop: from a `Config` to a finished run directory."""

import math
import shlex

import tensorflow as tf

from lsgan_tf import building, datasets, gallery, samples, sampling
from lsgan_tf.checkpoints import Checkpoints, available
from lsgan_tf.errors import UserError
from lsgan_tf.examiner import Examiner, owed
from lsgan_tf.logbook import Logbook
from lsgan_tf.metrics.measuring import GivenUp
from lsgan_tf.reals import SEARCHED
from lsgan_tf.run import Data, Run
from lsgan_tf.signals import StopRequest


def train(config, allow_config_change=False):
    """Trains until step `config.train_steps`, from the run's newest checkpoint if it has one.

    Returns when the target is reached or when SIGTERM or SIGINT asked to stop; both leave a
    checkpoint of the last step.

    Raises:
      UserError: if the flags, the data or the run directory do not allow it, if a record is
        damaged, or if the training diverges.
    """
    with StopRequest() as stop:  # from here on: a signal while the graph compiles waits too
        _train(config, allow_config_change, stop)


def _train(config, allow_config_change, stop):
    strategy = building.strategy(config)
    dataset = datasets.load(config.dataset, config.data_dir, image_size=config.image_size)
    with strategy.scope():
        gan = building.gan(config, dataset.image_shape, dataset.class_names)
    run = Run(config.run_dir)
    with run.locked():
        run.check(config, Data.of(dataset), allow_config_change)
        checkpoints = Checkpoints(gan, run.checkpoints, config.keep_checkpoints)
        step = checkpoints.restore_latest()
        building.set_learning_rates(gan, config)  # a checkpoint brings the one it was saved with
        if step > config.train_steps or (
            step == config.train_steps and not owed(config, run, step)
        ):
            print(
                f"{run.directory} is at step {step}, and --train_steps={config.train_steps}: "
                "nothing to do. A larger --train_steps goes on from here."
            )
            return
        try:
            examiner = Examiner(config, strategy, dataset, gan, run, lambda: stop.received)
        except GivenUp:
            print(f"{stop.received.name}: stopped while the reference of the scores was measured.")
            return
        run.claim(config, Data.of(dataset))
        logbook = Logbook(
            run,
            gan.objective,
            batch_size=config.batch_size * config.n_critic,
            train_steps=config.train_steps,
            step=step,
        )
        checkpoints.best = examiner.best_step
        training = _Training(
            config, strategy, dataset, gan, run, checkpoints, logbook, examiner, stop
        )
        training.go_on_from(step)


class _Training:
    """One process's share of a run."""

    def __init__(self, config, strategy, dataset, gan, run, checkpoints, logbook, examiner, stop):
        self._config = config
        self._strategy = strategy
        self._dataset = dataset
        self._gan = gan
        self._run = run
        self._checkpoints = checkpoints
        self._logbook = logbook
        self._examiner = examiner
        self._stop = stop
        self._saved = self._sampled = int(gan.step.numpy())  # the steps of the last ones
        self._sampler = sampling.Sampler(gan.sampling_generator)
        rows, self._columns = sampling.grid_size(gan.generator.num_classes)
        count = self._sampler.kind.enough or rows * self._columns
        self._grid_latents = run.sample_latents(
            sampling.draw_latents(gan.generator, count, config.seed)
        )
        self._grid_labels = sampling.labels_for(count, self._columns, gan.generator.num_classes)

    def go_on_from(self, step):
        """Trains from `step` to the target, or until asked to stop."""
        self._announce(step)
        if step == 0:
            self._show_beginning()
        elif owed(self._config, self._run, step):  # what ended the run came between
            self._examine(step)
        iterator = iter(self._batches(step))
        while step < self._config.train_steps and not self._stop.received:
            step = self._execute(iterator, step)
            self._after(step)
        if step != self._saved:
            if step % self._config.log_every:
                self._log(step)  # else no line would tell of these steps
            self._save(step)
        if step < self._config.train_steps:
            name = self._stop.received.name
            done = f"saved step {step}" if step else "stopped before the first step"
            print(f"{name}: {done}. Resume with:\n  {self._resume_command()}")
        else:
            print(
                f"finished at step {step}. Look at {self._run.samples}, or go on:\n"
                f"  python -m lsgan_tf.sample --run_dir={self._run.directory}\n"
                f"  python -m lsgan_tf.export --run_dir={self._run.directory}"
            )

    def _announce(self, step):
        replicas = self._strategy.num_replicas_in_sync
        noun = self._sampler.kind.noun
        print(
            f"{'resuming' if step else 'training'} {self._run.directory} from step {step} to "
            f"{self._config.train_steps}: {self._dataset.num_examples or 'endless'} {noun} of "
            f"{self._config.dataset}, {replicas} replica{'s' if replicas > 1 else ''} x "
            f"{self._config.batch_size // replicas} {noun} a step",
            flush=True,
        )

    def _show_beginning(self):
        """Pictures of the data, and of the generator before it has learned anything."""
        if self._grid_labels is None:
            reals, _ = self._dataset.first_images(len(self._grid_latents))
        else:
            reals = self._dataset.examples_of(self._grid_labels, at_most=SEARCHED)
        picture = self._sampler.kind.picture(reals, self._columns)
        self._run.write_reals(picture)
        self._logbook.pictures("reals", 0, picture)
        self._logbook.config(self._config.to_flagfile())
        self._sample(0)

    def _batches(self, step):
        """The batches from `step` on, each replica's slice to that replica."""
        replicas = self._strategy.num_replicas_in_sync

        def pipeline(context):
            own = replicas // context.num_input_pipelines
            batches = self._dataset.batches(
                seed=self._config.seed,
                step=step * self._gan.n_critic,  # a batch for each step of D
                batch_size=self._config.batch_size,
                num_slices=replicas,
                slice_offset=context.input_pipeline_id * own,
                slices_per_step=own,
                value_range=self._gan.generator.value_range,
                labelled=self._config.conditional,
            )
            return self._gan.grouped(batches)

        return self._strategy.distribute_datasets_from_function(pipeline)

    def _execute(self, iterator, step):
        """Runs to the next step at which something is due; returns that step."""
        config = self._config
        cadences = (
            config.log_every,
            config.sample_every,
            config.checkpoint_every,
            config.eval_every,
        )
        due = min(step - step % every + every for every in cadences if every)
        end = min(step + config.steps_per_execution, due, config.train_steps)
        with self._logbook.training():
            try:
                self._gan.run_steps(iterator, end - step)
            except tf.errors.OpError as error:
                damaged = self._dataset.explain(error)
                if damaged:
                    raise damaged from None
                raise
        return end

    def _after(self, step):
        """Logs, samples, saves and scores as is due at a step; at the last step, everything."""
        config = self._config

        def due(every):
            return step % every == 0 or step == config.train_steps

        if due(config.log_every):
            self._log(step)
        if due(config.sample_every):
            self._sample(step)
        if due(config.checkpoint_every):
            self._save(step)
        if config.eval_every and due(config.eval_every):
            self._examine(step)

    def _save(self, step):
        self._metrics(step)  # never save what has diverged
        if self._sampled != step:
            self._sample(step)  # every checkpoint has its picture in the gallery
        self._checkpoints.save()
        self._saved = step
        self._finish_page()

    def _examine(self, step):
        """Scores the generator, and keeps its checkpoint if it is the best so far."""
        self._metrics(step)  # what has diverged needs no score
        try:
            scores, count = self._examiner.scores()
        except GivenUp:
            print(
                f"{self._stop.received.name}: the score of step {step} is given up; the same "
                "command makes up for it."
            )
            return
        self._logbook.scores(step, scores)
        if self._examiner.is_best(scores):
            if self._saved != step:
                self._save(step)
            self._examiner.keep(step, scores)
            self._checkpoints.best = step
        self._examiner.write(step, scores, count)
        self._finish_page()

    def _finish_page(self):
        self._logbook.flush()
        gallery.write(self._run)

    def _metrics(self, step):
        """The mean metrics since the last log line, as floats.

        Raises:
          UserError: if one is not finite: a mean remembers every step that went into it.
        """
        with self._logbook.training():
            values = {metric.name: float(metric.result()) for metric in self._gan.metrics}
        broken = [name for name, value in values.items() if not math.isfinite(value)]
        if broken:
            first = (step - 1) // self._config.log_every * self._config.log_every + 1
            raise UserError(
                f"{' and '.join(broken)} became NaN or infinite between step {first} and {step}. "
                f"{self._kept()} Try a smaller --learning_rate, other labels "
                "(--label_a=0 --label_b=1 --label_c=1), or --dtype_policy=float32, with "
                "--allow_config_change to go on from a checkpoint."
            )
        return values

    def _kept(self):
        steps = available(self._run.checkpoints)
        return f"The checkpoint of step {steps[-1]} is kept." if steps else "No checkpoint yet."

    def _log(self, step):
        self._logbook.metrics(step, self._metrics(step))
        self._gan.reset_metrics()

    def _sample(self, step):
        self._metrics(step)  # what has diverged is told as such
        drawn = self._sampler(self._grid_latents, self._grid_labels)
        picture = self._sampler.kind.picture(drawn, self._columns)
        path = self._run.write_sample(step, picture)
        self._logbook.pictures("samples", step, picture)
        self._logbook.flush()
        self._sampled = step
        print(f"step {step}: {path}", flush=True)

    def _resume_command(self):
        command = ["python", "-m", "lsgan_tf.train", f"--run_dir={self._run.directory}"]
        if self._config.data_dir != "data":
            command.append(f"--data_dir={self._config.data_dir}")
        if self._config.features_file:
            command.append(f"--features_file={self._config.features_file}")
        return shlex.join(command)


def describe(config):
    """Prints the resolved flags, the layers and the parameter counts of a run; writes nothing,
    not even the data set.

    Raises:
      UserError: as `train` does.
    """
    building.strategy(config)
    data = datasets.facts(config.dataset, config.data_dir, image_size=config.image_size)
    gan = building.gan(config, data.image_shape, data.class_names)
    print(config.to_flagfile() + f"--run_dir={config.run_dir}\n--data_dir={config.data_dir}")
    count = "not yet prepared:" if data.num_examples is None else data.num_examples or "endless"
    print(f"# {count} {samples.kind(gan.generator).noun} of {data.image_shape}")
    for network in (gan.generator, gan.discriminator):
        network.summary(expand_nested=True, line_length=100)
