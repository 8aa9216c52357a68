"""What a run writes and prints: checkpoints, log lines, samples, scores, the gallery."""

import contextlib
import functools
import shlex
import sys
import time
from collections.abc import Callable

from lsgan_tf.inference import sampler
from lsgan_tf.inference.classes import SEARCHED
from lsgan_tf.metrics.measurements import GivenUp
from lsgan_tf.runs import gallery
from lsgan_tf.runs.checkpoints import Checkpoints, available
from lsgan_tf.runs.logbook import Logbook
from lsgan_tf.runs.run_directory import DataFacts, Run
from lsgan_tf.training import build, devices, initial_weights
from lsgan_tf.training.periodic_scores import PeriodicScores
from lsgan_tf.utils import images, progress

_FIRST_GRID = 100.0  # seconds, so that the first one after step 0 is there within two minutes


class NoRecorder(contextlib.AbstractContextManager):
    """The recorder of all workers but the chief: it does nothing."""

    def __exit__(self, *_):
        pass

    def timed(self):
        return contextlib.nullcontext()

    def start(self, step):
        pass

    def show_progress(self, step, read_metrics):
        pass

    def log(self, step, metrics):
        pass

    def sample(self, step):
        pass

    def save(self, step):
        pass

    def score(self, step):
        pass

    def keep(self, step):
        pass

    def finish(self, step, metrics):
        pass

    def describe_kept_checkpoint(self):
        return "Worker 0 says which checkpoint is kept."


class Recorder(contextlib.AbstractContextManager):
    """Restores, logs, samples, saves and scores a run. One worker, the chief, has it.

    The other workers wait for the chief in the next step. All that it reads is the same on each of
    them, so nothing is exchanged here. Leaving the context releases the run directory; if it is by
    KeyboardInterrupt, what is saved and how to resume is printed.

    Args:
        config: the `Config`.
        strategy: the run's `tf.distribute` strategy. If there is one worker, its replicas share
            the scoring.
        dataset: the run's data set.
        gan: the compiled `GAN`.
        stop: the `signals.StopRequest`.
        workers: how many there are.
    """

    def __init__(self, config, strategy, dataset, gan, stop, workers=1):
        self._config, self._dataset, self._gan, self._stop = config, dataset, gan, stop
        self._replicas, self._workers = strategy.num_replicas_in_sync, workers
        self._run = Run(config.run_dir)
        self._checkpoints = Checkpoints(gan, self._run.checkpoints, config.keep_checkpoints)
        self._logbook = Logbook(
            self._run,
            gan.objective,
            batch_size=config.batch_size * config.n_critic,
            train_steps=config.train_steps,
        )
        self._sampler = sampler.Sampler(gan.sampling_generator)
        self._scores = PeriodicScores(
            config,
            dataset,
            gan,
            self._run,
            self._sampler,
            strategy=strategy if workers == 1 else None,
            stop=lambda: stop.received is not None,
        )
        self._logged = self._sampled = self._saved = 0  # the steps of the last ones
        self._is_started = False
        self._held = contextlib.ExitStack()

    def __exit__(self, kind, *_):
        self._held.close()
        if self._is_started and kind is KeyboardInterrupt:  # a second SIGINT
            progress.say(self._words_of_interruption())

    def restore(self, allow_config_change: bool) -> tuple[int, bool]:
        """Takes the run directory and restores the newest checkpoint, or that of `--init_from`.

        Args:
            allow_config_change: go on under flags that differ from those of the directory.

        Returns:
            (the step to go on from, whether there is anything to do).

        Raises:
            UserError: the flags, the data or the run directory do not allow it.
        """
        config, run = self._config, self._run
        is_initialized = initial_weights.take_over(self._gan, config)
        self._held.enter_context(run.locked())
        data = DataFacts.of(self._dataset)
        numerics = devices.numerics()
        run.check(config, data, self._replicas, allow_config_change, numerics)
        step = self._checkpoints.restore_latest()
        build.set_learning_rates(self._gan, config)  # a checkpoint holds the rates of its own run
        finished = step == config.train_steps and not self._scores.is_owed(step)
        if step > config.train_steps or finished:
            print(
                f"{run.directory} is at step {step}, and --train_steps={config.train_steps}: "
                "nothing to do. A larger --train_steps goes on from here."
            )
            return step, False
        try:
            self._scores.measure_reference()
        except GivenUp:
            name = self._stop.received.name
            print(f"{name}: stopped while the reference of the scores was measured.")
            return step, False
        run.claim(config, data, self._replicas, numerics)
        if is_initialized:
            self._checkpoints.save()  # from here on the other run may go
        self._checkpoints.best = self._scores.best_step()
        return step, True

    def start(self, step: int) -> None:
        """Announces the run and does what is due before its first step, or was when it ended."""
        self._logbook.start(step)
        self._logged = self._sampled = self._saved = step
        self._is_started = True
        self._first_grid_due = time.monotonic() + _FIRST_GRID
        config, replicas = self._config, self._replicas
        progress.say(
            f"{'resuming' if step else 'training'} {self._run.directory} from step {step} to "
            f"{config.train_steps}: {self._dataset.num_examples} images of {config.dataset}, "
            f"{replicas} replica{'s' if replicas > 1 else ''} x "
            f"{config.batch_size // replicas} images a step, on {devices.describe()}"
        )
        build.warn_of_batch(config, self._dataset.num_examples)
        self._show_bar(step)
        if step == 0:
            self._show_reals()
            self._logbook.config(config.to_flagfile(), vars(config))
            self.sample(0)
            return
        if not self._run.sample_path(step).exists():  # killed after the checkpoint was saved
            self.sample(step)
        if self._scores.is_owed(step):
            self.score(step)

    def timed(self) -> contextlib.AbstractContextManager:
        """A context that counts its time as training; the rest is sampling and saving."""
        return self._logbook.training()

    def show_progress(self, step: int, read_metrics: Callable[[], dict[str, float]]) -> None:
        """Shows how far the run is, by time, whatever is due by steps.

        On a terminal a bar moves; elsewhere a line is printed about once a minute. The first grid
        after that of step 0 is drawn here if it is not due within two minutes. Nothing else is
        written, and no state of the training changes.

        Args:
            step: the step that is reached.
            read_metrics: gives the mean metrics since the last log line. All workers would have to
                call it, and only the chief looks at the time: of several it shows none.
        """
        self._bar.update(step - self._bar.n)
        if self._stop.received:  # `finish` logs and samples
            return
        told = self._is_watched or step == self._logged
        line = self._logbook.is_silent() and not told
        grid = not self._sampled and time.monotonic() >= self._first_grid_due
        if not (line or grid):
            return
        metrics = read_metrics() if self._workers == 1 else {}  # what has diverged is not sampled
        if line:
            self._logbook.progress(step, metrics)
        if grid:
            self.sample(step)

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Writes the mean metrics since the last log line, and the learning rates from here on."""
        self._logbook.metrics(step, {**metrics, **build.read_learning_rates(self._gan)})
        self._logged = step

    def sample(self, step: int) -> None:
        """Writes a grid of generated images, of the same latents at every step."""
        latents, labels, columns = self._grid
        picture = images.grid(self._sampler(latents, labels), columns)
        path = self._run.write_sample(step, picture)
        self._logbook.pictures("samples", step, picture)
        self._logbook.flush()
        self._sampled = step
        progress.say(f"step {step}: {path}")

    def save(self, step: int) -> None:
        """Saves a checkpoint, then its samples and the gallery: it may be killed at any moment."""
        self.keep(step)
        if self._sampled != step:
            self.sample(step)
        self._write_gallery()

    def score(self, step: int) -> None:
        """Scores the generator, and keeps its checkpoint if it is the best so far.

        A signal gives the score up; the resumed run makes up for it.
        """
        try:
            scores, count = self._scores.compute()
        except GivenUp:
            progress.say(
                f"{self._stop.received.name}: the score of step {step} is given up; the same "
                "command makes up for it."
            )
            return
        self._logbook.scores(step, scores)
        if self._scores.is_best(scores):
            if self._saved != step:
                self.save(step)
            self._scores.keep_as_best(step, scores)
            self._checkpoints.best = step
        self._scores.write(step, scores, count)
        self._write_gallery()

    def keep(self, step: int) -> None:
        """Saves a checkpoint and nothing else, unless that of this step is saved."""
        if self._saved != step:
            self._checkpoints.save()
            self._saved = step

    def finish(self, step: int, metrics: dict[str, float]) -> None:
        """Logs and samples the last step of a run that ends, and prints how to go on."""
        if step != self._logged:
            self.log(step, metrics)  # else no line would tell of the last steps
        if step != self._sampled:
            self.sample(step)
        self._write_gallery()
        self._bar.close()
        progress.say(self._last_words(step))

    def describe_kept_checkpoint(self) -> str:
        """A sentence that says which checkpoint a run that fails still has."""
        steps = available(self._run.checkpoints)
        return f"The checkpoint of step {steps[-1]} is kept." if steps else "No checkpoint yet."

    def _show_bar(self, step):
        """On a terminal, until the run ends."""
        on_terminal = sys.stderr.isatty()
        counts = {"total": self._config.train_steps, "initial": step, "unit": "step"}
        bar = progress.bar(**counts, miniters=1, leave=False, disable=not on_terminal)
        self._bar = self._held.enter_context(bar)
        # A terminal that knows no width, as some containers have, shows no bar.
        self._is_watched = on_terminal and bar.ncols != 0 and sys.stdout.isatty()

    def _show_reals(self):
        """Writes a grid of real images, of the classes of the sample grid where there are any."""
        latents, labels, columns = self._grid
        if labels is None:
            reals, _ = self._dataset.first_images(len(latents))
        else:
            reals = self._dataset.examples_of(labels, at_most=SEARCHED)
        picture = images.grid(reals, columns)
        self._run.write_reals(picture)
        self._logbook.pictures("reals", 0, picture)

    @functools.cached_property
    def _grid(self):
        """(latents, labels or None, columns) of the sample grid."""
        generator = self._gan.generator
        rows, columns = images.grid_size(generator.num_classes)
        count = rows * columns
        drawn = sampler.draw_latents(generator, count, self._config.seed)
        labels = sampler.labels_for(count, columns, generator.num_classes)
        return self._run.sample_latents(drawn), labels, columns

    def _write_gallery(self):
        self._logbook.flush()
        gallery.write(self._run)

    def _last_words(self, step):
        directory = self._run.directory
        if step >= self._config.train_steps:
            return (
                f"finished at step {step}. Look at {self._run.samples}, or go on:\n"
                f"  python -m lsgan_tf.sample --run_dir={directory}\n"
                f"  python -m lsgan_tf.export --run_dir={directory}"
            )
        name = self._stop.received.name if self._stop.received else "another worker's signal"
        done = f"saved step {step}" if step else "stopped before the first step"
        return f"{name}: {done}. {self._how_to_resume()}"

    def _words_of_interruption(self):
        steps = available(self._run.checkpoints)
        if steps and steps[-1] == self._config.train_steps:
            return self._last_words(steps[-1])
        saved = f"step {steps[-1]} is saved" if steps else "no checkpoint is saved yet"
        return f"SIGINT: interrupted; {saved}. {self._how_to_resume()}"

    def _how_to_resume(self):
        if self._workers > 1:
            return "To resume, start all workers again with their commands."
        return f"Resume with:\n  {self._resume_command()}"

    def _resume_command(self):
        command = ["python", "-m", "lsgan_tf.train", f"--run_dir={self._run.directory}"]
        if self._config.data_dir != "data":
            command.append(f"--data_dir={self._config.data_dir}")
        if self._config.features_file:
            command.append(f"--features_file={self._config.features_file}")
        return shlex.join(command)
