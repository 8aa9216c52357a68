"""Scores while a run trains, and which checkpoint is the best by one of them."""

import functools
import hashlib
import json
from collections.abc import Callable

import tensorflow as tf

from lsgan_tf.config import Config
from lsgan_tf.datasets.dataset import Dataset
from lsgan_tf.gan.model import GAN
from lsgan_tf.inference.checkpoint_scores import score_generator
from lsgan_tf.inference.sampler import Sampler
from lsgan_tf.metrics.evaluator import Evaluator, RealImages, score_lines
from lsgan_tf.metrics.features import Choice
from lsgan_tf.metrics.scores import Score, Settings
from lsgan_tf.runs.checkpoints import available
from lsgan_tf.runs.run_directory import Best, Run
from lsgan_tf.training.cadences import Cadences
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.score_directions import BETTER

_BY_TRAINING = "train"  # marks the lines of scores.jsonl that a run writes while it trains


class PeriodicScores:
    """Scores the generator of a run, as `--eval_every` and `--keep_best` ask.

    Args:
        config: the `Config`.
        dataset: the run's data set.
        gan: the `GAN`.
        run: the `Run`.
        sampler: a `Sampler` of the GAN's sampling generator.
        strategy: a `tf.distribute` strategy of this process whose replicas share the work; None:
            one device.
        stop: asked between batches whether to give a score up, since a pass can take minutes.
    """

    def __init__(
        self,
        config: Config,
        dataset: Dataset,
        gan: GAN,
        run: Run,
        sampler: Sampler,
        *,
        strategy: tf.distribute.Strategy | None,
        stop: Callable[[], bool],
    ):
        self._config, self._dataset, self._gan, self._run = config, dataset, gan, run
        self._sampler, self._strategy, self._stop = sampler, strategy, stop
        self._settings = Settings(images=config.eval_images, seed=config.seed)

    def is_owed(self, step: int) -> bool:
        """Whether a score was due at a step and a run that ended did not write it."""
        if not step or not Cadences(self._config).score_is_due(step):
            return False
        lines = self._run.read_scores()
        return all((line["step"], line.get("by")) != (step, _BY_TRAINING) for line in lines)

    def measure_reference(self) -> None:
        """Measures the real images, so that what is missing shows before the training begins.

        Raises:
            GivenUp: `stop` said so.
            UserError: the features are not available, or do not give the score of `--keep_best`.
        """
        if self._config.eval_every:
            self._check_keep_best(self._evaluator)
            self._evaluator.measure_reference()

    @functools.cached_property
    def _evaluator(self):
        config = self._config
        return Evaluator(
            Choice(config.features, config.features_file, data_dir=config.data_dir),
            self._settings,
            RealImages.of_generators(self._dataset, config.eval_images),
            strategy=self._strategy,
            stop=self._stop,
        )

    def _check_keep_best(self, evaluator):
        wanted = self._config.keep_best
        few = self._settings.images <= self._settings.coverage_k
        possible = not (few and wanted in ("precision", "recall", "coverage"))
        if wanted == "inception_score":
            possible = evaluator.extractor.classes is not None
        if wanted == "class_accuracy":
            possible = evaluator.classifies()
        if not possible:
            raise UserError(
                f"--keep_best={wanted}: --features={self._config.features} on data set "
                f"{self._config.dataset} give no such score of {self._settings.images} images."
            )

    def best_step(self) -> int | None:
        """The step of the best checkpoint so far, by the same score and protocol; or None."""
        best = self._best()
        return best and best.step

    def _best(self):
        best = self._run.best()
        if best is None or best.step not in available(self._run.checkpoints):
            return None
        if not self._config.eval_every or self._config.keep_best == "none":
            return best  # no longer asked for: the best so far is kept
        same = (best.score, best.protocol) == (self._config.keep_best, self._protocol_digest())
        return best if same else None

    def compute(self) -> tuple[list[Score], int]:
        """Scores the generator as it is.

        Returns:
            (the scores, the number of images).

        Raises:
            GivenUp: `stop` said so; the score is owed then.
            UserError: its images have no finite features.
        """
        generator = self._gan.sampling_generator
        class_names = self._evaluator.class_names if generator.num_classes else None
        scores, measured, _ = score_generator(
            self._evaluator, generator, class_names, self._sampler
        )
        return scores, measured.count

    def is_best(self, scores: list[Score]) -> bool:
        """Whether these scores are better than those of the best checkpoint so far."""
        value = self._value(scores)
        best = self._best()
        if value is None or best is None:
            return value is not None
        return (value - best.value) * BETTER[self._config.keep_best] > 0.0

    def keep_as_best(self, step: int, scores: list[Score]) -> None:
        """Records the checkpoint of a step as the best."""
        best = Best(step, self._config.keep_best, self._value(scores), self._protocol_digest())
        self._run.write_best(best)

    def write(self, step: int, scores: list[Score], count: int) -> None:
        """Writes the lines of scores.jsonl. Comes last: with them a step is no longer owed."""
        self._run.append_scores(
            score_lines(
                scores,
                self._evaluator.protocol(),
                step=step,
                images="generated",
                count=count,
                weights="raw" if self._gan.generator_ema is None else "ema",
                generator_dtype=self._config.dtype_policy,
                by=_BY_TRAINING,
            )
        )

    def _value(self, scores):
        return next((s.value for s in scores if s.name == self._config.keep_best), None)

    def _protocol_digest(self):
        protocol = self._evaluator.protocol()
        del protocol["extractor"]["name"]  # the checksum identifies it, wherever its file is
        text = json.dumps([protocol, self._settings.images], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
