"""Scores while a run trains, and which checkpoint is the best by one of them."""

import hashlib
import json

from lsgan_tf.inference import sampler
from lsgan_tf.inference.checkpoint_scores import score_generator
from lsgan_tf.metrics.directions import BETTER
from lsgan_tf.metrics.evaluator import Evaluator, RealImages, score_lines
from lsgan_tf.metrics.features import Choice
from lsgan_tf.metrics.scores import Settings
from lsgan_tf.runs.checkpoints import available
from lsgan_tf.runs.run_directory import Best
from lsgan_tf.utils.errors import UserError

_TRAINING = "train"  # the mark of the lines that a run in training writes


def owed(config, run, step):
    """Whether a score was due at a step and a run that ended did not write it."""
    if not config.eval_every or not step:
        return False
    due = step % config.eval_every == 0 or step == config.train_steps
    lines = run.read_scores()
    return due and all((line["step"], line.get("by")) != (step, _TRAINING) for line in lines)


class Examiner:
    """Scores the generator of a run, as `--eval_every` and `--keep_best` ask.

    The reference is measured at once: what is missing shows before the training begins.

    Args:
      config: the `Config`.
      strategy: a `tf.distribute` strategy of this process whose replicas share the work; None: one
        device.
      dataset: the run's data set.
      gan: the `GAN`.
      run: the `Run`.
      stop: asked between batches whether to give a score up, since a pass can take minutes.

    Raises:
      GivenUp: if `stop` said so while the reference was measured.
      UserError: if the features are not to be had, or do not give the score of `--keep_best`.
    """

    def __init__(self, config, strategy, dataset, gan, run, stop):
        self._config, self._gan, self._run = config, gan, run
        self._settings = Settings(images=config.eval_images, seed=config.seed)
        self._sampler = sampler.Sampler(gan.sampling_generator)
        self._evaluator = None
        if not config.eval_every:
            return
        choice = Choice(config.features, config.features_file, data_dir=config.data_dir)
        data = RealImages.of_generators(dataset, config.eval_images)
        self._evaluator = Evaluator(choice, self._settings, data, strategy=strategy, stop=stop)
        self._check_keep_best()

    def _check_keep_best(self):
        wanted, evaluator = self._config.keep_best, self._evaluator
        possible = True
        if wanted == "inception_score":
            possible = evaluator.extractor.classes is not None
        if wanted == "class_accuracy":
            possible = evaluator.classifies()
        few = self._settings.images <= self._settings.coverage_k
        possible = possible and not (few and wanted in ("precision", "recall", "coverage"))
        if not possible:
            raise UserError(
                f"--keep_best={wanted}: --features={self._config.features} on data set "
                f"{self._config.dataset} give no such score of {self._settings.images} images."
            )

    @property
    def best_step(self):
        """The step of the best checkpoint so far, by the same score and protocol; or None."""
        best = self._best()
        return best and best.step

    def _best(self):
        best = self._run.best()
        if best is None or best.step not in available(self._run.checkpoints):
            return None
        if not self._config.eval_every or self._config.keep_best == "none":
            return best  # no longer asked for; what was best stays
        same = (best.score, best.protocol) == (self._config.keep_best, self._protocol_digest())
        return best if same else None

    def scores(self):
        """Scores the generator as it is.

        Returns:
          (list of `metrics.scores.Score`, the number of images).

        Raises:
          GivenUp: if `stop` said so; the score is owed then.
          UserError: if its images have no finite features.
        """
        generator = self._gan.sampling_generator
        names = self._evaluator.class_names if generator.num_classes else None
        found, fake, _ = score_generator(self._evaluator, generator, names, self._sampler)
        return found, fake.count

    def write(self, step, scores, count):
        """Writes the lines of scores.jsonl. Last of all that is done for a step: with them it is no
        longer owed."""
        self._run.append_scores(
            score_lines(
                scores,
                self._protocol(),
                step=step,
                images="generated",
                count=count,
                weights="raw" if self._gan.generator_ema is None else "ema",
                generator_dtype=self._config.dtype_policy,
                by=_TRAINING,
            )
        )

    def is_best(self, scores):
        """Whether these scores are better than those of the best checkpoint so far."""
        value = self._value(scores)
        best = self._best()
        if value is None or best is None:
            return value is not None
        return (value - best.value) * BETTER[self._config.keep_best] > 0.0

    def keep(self, step, scores):
        """Records the checkpoint of a step as the best."""
        self._run.write_best(
            Best(step, self._config.keep_best, self._value(scores), self._protocol_digest())
        )

    def _value(self, scores):
        return next((s.value for s in scores if s.name == self._config.keep_best), None)

    def _protocol(self):
        return self._evaluator.protocol()

    def _protocol_digest(self):
        protocol = self._protocol()
        if protocol["extractor"]:
            del protocol["extractor"]["name"]  # the checksum tells it, wherever its file is
        text = json.dumps([protocol, self._settings.images], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
