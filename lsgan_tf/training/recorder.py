"""What one worker does for all: it keeps the run directory, and tells of the run."""

import shlex

from lsgan_tf.inference import sampler
from lsgan_tf.inference.real_examples import SEARCHED
from lsgan_tf.metrics.measuring import GivenUp
from lsgan_tf.runs import gallery
from lsgan_tf.runs.checkpoints import Checkpoints
from lsgan_tf.runs.logbook import Logbook
from lsgan_tf.runs.run_directory import DataFacts, Run
from lsgan_tf.training import build
from lsgan_tf.training.periodic_scores import Examiner, owed
from lsgan_tf.utils import images


class Chief:
    """Restores, logs, samples, saves and scores. A run has one, whatever the number of workers.

    Its work takes nothing of the other workers, who wait for it in the next step: all that it reads
    is the same on every worker.

    Args:
      config: the `Config`.
      strategy: the run's `tf.distribute` strategy.
      dataset: the run's data set.
      gan: the `GAN`.
      stop: the `signals.StopRequest`.
      local: a strategy of this process alone whose replicas share the scoring; None: one device.
      workers: how many there are.

    Attributes:
      run: the `Run`.
    """

    def __init__(self, config, strategy, dataset, gan, stop, local, workers=1):
        self.run = Run(config.run_dir)
        self._config, self._strategy, self._dataset, self._gan = config, strategy, dataset, gan
        self._stop, self._local, self._workers = stop, local, workers
        self._logged = self._sampled = self._saved = 0  # the steps of the last ones

    def begin(self, allow_config_change):
        """Restores the run's newest checkpoint and claims the directory, which must be locked.

        Returns:
          The step to go on from; None if there is nothing to do.

        Raises:
          UserError: if the flags, the data or the run directory do not allow it.
        """
        config, run, gan = self._config, self.run, self._gan
        data, replicas = DataFacts.of(self._dataset), self._strategy.num_replicas_in_sync
        run.check(config, data, replicas, allow_config_change)
        self._checkpoints = Checkpoints(gan, run.checkpoints, config.keep_checkpoints)
        step = self._checkpoints.restore_latest()
        build.set_learning_rates(gan, config)  # a checkpoint brings the one it was saved with
        if step > config.train_steps or (
            step == config.train_steps and not owed(config, run, step)
        ):
            print(
                f"{run.directory} is at step {step}, and --train_steps={config.train_steps}: "
                "nothing to do. A larger --train_steps goes on from here."
            )
            return None
        try:
            self._examiner = Examiner(
                config, self._local, self._dataset, gan, run, lambda: self._stop.received
            )
        except GivenUp:
            name = self._stop.received.name
            print(f"{name}: stopped while the reference of the scores was measured.")
            return None
        run.claim(config, data, replicas)
        self._checkpoints.best = self._examiner.best_step
        self._logbook = Logbook(
            run,
            gan.objective,
            batch_size=config.batch_size * config.n_critic,
            train_steps=config.train_steps,
            step=step,
        )
        self._prepare_samples()
        self._logged = self._sampled = self._saved = step
        self._announce(step)
        return step

    def _prepare_samples(self):
        generator = self._gan.generator
        self._sampler = sampler.Sampler(self._gan.sampling_generator)
        rows, self._columns = sampler.grid_size(generator.num_classes)
        count = rows * self._columns
        self._grid_latents = self.run.sample_latents(
            sampler.draw_latents(generator, count, self._config.seed)
        )
        self._grid_labels = sampler.labels_for(count, self._columns, generator.num_classes)

    def _announce(self, step):
        replicas = self._strategy.num_replicas_in_sync
        print(
            f"{'resuming' if step else 'training'} {self.run.directory} from step {step} to "
            f"{self._config.train_steps}: {self._dataset.num_examples} images of "
            f"{self._config.dataset}, {replicas} replica{'s' if replicas > 1 else ''} x "
            f"{self._config.batch_size // replicas} images a step",
            flush=True,
        )

    def open(self, step):
        """Does what is due before the first step, or was when the run was ended."""
        if step == 0:
            self._show_beginning()
        elif owed(self._config, self.run, step):
            self._examine(step)

    def _show_beginning(self):
        """Pictures of the data, and of the generator before it has learned anything."""
        if self._grid_labels is None:
            reals, _ = self._dataset.first_images(len(self._grid_latents))
        else:
            reals = self._dataset.examples_of(self._grid_labels, at_most=SEARCHED)
        picture = images.grid(reals, self._columns)
        self.run.write_reals(picture)
        self._logbook.pictures("reals", 0, picture)
        self._logbook.config(self._config.to_flagfile())
        self._sample(0)

    def training(self):
        """A context that counts its time as training; the rest is sampling and saving."""
        return self._logbook.training()

    def record(self, step, values, due):
        """Logs, samples, saves and scores what is due at a step.

        Args:
          step: the step.
          values: the mean metrics since the last log line, finite floats.
          due: a `training.Due`.
        """
        if due.log:
            self._log(step, values)
        if due.sample:
            self._sample(step)
        if due.checkpoint:
            self._save(step)
        if due.score:
            self._examine(step)

    def close(self, step, values):
        """Keeps the last step of a run that ends, and says how to go on."""
        config, run = self._config, self.run
        if step != self._logged:
            self._log(step, values)  # else no line would tell of these steps
        if step != self._saved:
            self._save(step)
        if step < config.train_steps:
            name = self._stop.received.name if self._stop.received else "another worker's signal"
            done = f"saved step {step}" if step else "stopped before the first step"
            if self._workers > 1:
                print(f"{name}: {done}. To resume, start all workers again with their commands.")
            else:
                print(f"{name}: {done}. Resume with:\n  {self._resume_command()}")
        else:
            print(
                f"finished at step {step}. Look at {run.samples}, or go on:\n"
                f"  python -m lsgan_tf.sample --run_dir={run.directory}\n"
                f"  python -m lsgan_tf.export --run_dir={run.directory}"
            )

    def _log(self, step, values):
        self._logbook.metrics(step, values)
        self._logged = step

    def _save(self, step):
        if self._sampled != step:
            self._sample(step)  # every checkpoint has its picture in the gallery
        self._checkpoints.save()
        self._saved = step
        self._finish_page()

    def _examine(self, step):
        """Scores the generator, and keeps its checkpoint if it is the best so far."""
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
        gallery.write(self.run)

    def _sample(self, step):
        drawn = self._sampler(self._grid_latents, self._grid_labels)
        picture = images.grid(drawn, self._columns)
        path = self.run.write_sample(step, picture)
        self._logbook.pictures("samples", step, picture)
        self._logbook.flush()
        self._sampled = step
        print(f"step {step}: {path}", flush=True)

    def _resume_command(self):
        command = ["python", "-m", "lsgan_tf.train", f"--run_dir={self.run.directory}"]
        if self._config.data_dir != "data":
            command.append(f"--data_dir={self._config.data_dir}")
        if self._config.features_file:
            command.append(f"--features_file={self._config.features_file}")
        return shlex.join(command)
