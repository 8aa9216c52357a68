"""Scores of the checkpoints of a run: computed, written into the run, and shown."""

import dataclasses
import itertools

import numpy as np
import tensorflow as tf

from lsgan_tf import datasets
from lsgan_tf.config import Config
from lsgan_tf.datasets.dataset import Dataset
from lsgan_tf.inference import load
from lsgan_tf.inference.picture_files import write_picture
from lsgan_tf.inference.sampler import Generated, Sampler
from lsgan_tf.metrics import neighbours
from lsgan_tf.metrics.evaluator import Evaluator, RealImages, score_lines
from lsgan_tf.metrics.features import Choice
from lsgan_tf.metrics.measurements import Measured
from lsgan_tf.metrics.scores import Score, Settings
from lsgan_tf.networks.base import Generator
from lsgan_tf.runs import gallery
from lsgan_tf.runs.checkpoints import available
from lsgan_tf.runs.run_directory import DataFacts, Run
from lsgan_tf.utils import command_line, images
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.score_directions import format_score, heading

_SHOWN = 8  # generated images in the picture of neighbours
_NEIGHBOURS = 5  # training images beside each


@dataclasses.dataclass(frozen=True)
class Job:
    """What to score, and how."""

    run: Run
    config: Config
    data: DataFacts
    choice: Choice
    settings: Settings
    batch_size: int  # images at a time, on each device
    strategy: tf.distribute.Strategy  # whose devices share the work
    weights: str  # "raw", "ema" or "auto"

    def make_evaluator(self, data: RealImages) -> Evaluator:
        """An evaluator on the devices of the strategy."""
        return Evaluator(
            self.choice,
            self.settings,
            data,
            strategy=self.strategy,
            batch_size=self.batch_size,
        )

    def open_dataset(self) -> Dataset:
        """Opens the training split.

        Raises:
            UserError: it is not there, or has images of another shape now.
        """
        dataset = datasets.load(
            self.config.dataset, self.choice.data_dir, image_size=self.config.image_size
        )
        if dataset.image_shape != self.data.image_shape:
            raise UserError(
                f"data set {dataset.name} has images of {dataset.image_shape} now, the run of "
                f"{self.data.image_shape}. --data_dir says where the right one is."
            )
        if dataset.fingerprint != self.data.fingerprint:
            print(f"warning: data set {dataset.name} was made anew since the run was trained.")
        return dataset


def score_checkpoints(job: Job, chosen: str) -> None:
    """Scores one checkpoint, or all that are there; prints a table and writes scores.jsonl.

    Args:
        job: what to score.
        chosen: a step, "latest", "best" or "all".

    Raises:
        UserError: there is no such checkpoint, or the features or the data are not available.
    """
    steps = available(job.run.checkpoints) if chosen == "all" else [chosen]
    if not steps:
        raise UserError(f"There is no checkpoint in {job.run.checkpoints} yet. Train a little.")
    loaded = _load_each(job, steps)
    first = next(loaded)  # before the reference takes its time: it may not be there
    score = _scorer(job)
    rows = [
        (f"step {trained.step}, {trained.weights}", score(trained))
        for trained in itertools.chain([first], loaded)
    ]
    _show(job.run, rows)


def _load_each(job, steps):
    """Yields the generators of these checkpoints; leaves out what a trainer removes meanwhile."""
    for number, step in enumerate(steps):
        if number and step not in available(job.run.checkpoints):
            print(f"warning: the checkpoint of step {step} was removed meanwhile.")
        else:
            yield load.load(job.run.directory, checkpoint=str(step), weights=job.weights)


def score_real(job: Job) -> None:
    """Scores the test split against the training split: the floor of every generator's scores.

    Raises:
        UserError: as `score_checkpoints` does.
    """
    dataset = job.open_dataset()
    test = datasets.test_split(
        job.config.dataset, job.choice.data_dir, image_size=job.config.image_size
    )
    data = RealImages.of_floor(dataset, test, job.settings.images)
    evaluator = job.make_evaluator(data)
    scores, fake = evaluator.score_test_split()
    what = f"real ({data.test_split})"
    protocol = evaluator.protocol()
    job.run.append_scores(
        score_lines(scores, protocol, step=None, images=what, count=fake.count, weights=None)
    )
    _show(job.run, [(what, scores)])


def score_generator(
    evaluator: Evaluator,
    generator: Generator,
    class_names: tuple[str, ...] | None = None,
    sampler: Sampler | None = None,
) -> tuple[list[Score], Measured, Generated]:
    """Scores a generator.

    Args:
        evaluator: what to score it by.
        generator: a generator of images.
        class_names: classes of a conditional generator.
        sampler: as of `Generated`.

    Returns:
        (the scores, what was measured of the images, the images).

    Raises:
        GivenUp: the evaluator's `stop` said so.
        UserError: a feature is not finite, or the classes are not those of the reference.
    """
    count, seed = evaluator.settings.images, evaluator.settings.seed
    labels = None if class_names is None else evaluator.labels_for(class_names, count)
    generated = Generated(generator, count, seed=seed, labels=labels, sampler=sampler)
    return *evaluator.score(generated, "generated images"), generated


def _scorer(job):
    """The function that scores a checkpoint; the reference is measured here, once for all."""
    evaluator = job.make_evaluator(
        RealImages.of_generators(job.open_dataset(), job.settings.images)
    )

    def score(trained):
        scores, fake, generated = score_generator(evaluator, trained.generator, trained.class_names)
        lines = score_lines(
            scores,
            evaluator.protocol(),
            step=trained.step,
            images="generated",
            count=fake.count,
            weights=trained.weights,
            generator_dtype="float32",
        )
        job.run.append_scores(lines)
        path = job.run.directory / f"neighbours-{trained.step:07d}.png"
        print(_neighbours(evaluator, fake, generated, path))
        return scores

    return score


def _neighbours(evaluator, fake, generated, path):
    """Draws the generated images that are nearest to a training image, each before the training
    images nearest to it, the nearest pair first."""
    training = evaluator.reference.features
    count = min(_NEIGHBOURS, len(training))
    numbers, distances = neighbours.nearest(training, fake.features, count)
    closest = np.argsort(distances[:, 0], kind="stable")[:_SHOWN]
    shown, _ = generated.at(closest)
    beside = [evaluator.reference_images(numbers[index]) for index in closest]
    rows = [np.concatenate([one[None], real]) for one, real in zip(shown, beside, strict=True)]
    return write_picture(path, images.grid(np.concatenate(rows), count + 1))


def _show(run, scored):
    """Prints a table with a row for each (name, scores), and what was written into the run."""
    head = [heading(score.name, score.title) for score in scored[0][1]]
    rows = [(name, *map(_cell, scores)) for name, scores in scored]
    print("\n".join(command_line.aligned([("", *head), *rows])))
    print(f"{run.scores}, {gallery.write(run)}")


def _cell(score):
    return format_score(score.value, std=score.details.get("std"), of=score.details.get("of"))
