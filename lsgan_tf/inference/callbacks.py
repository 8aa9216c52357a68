"""Callbacks for `GAN.fit`: sample grids, scores, and an end where a metric is not finite."""

from pathlib import Path

import keras
import numpy as np

from lsgan_tf.datasets.dataset import Dataset
from lsgan_tf.datasets.in_memory import InMemory
from lsgan_tf.gan.callbacks import name_broken
from lsgan_tf.inference import picture_files, sampler
from lsgan_tf.inference.checkpoint_scores import score_generator
from lsgan_tf.metrics.evaluator import Evaluator, RealImages
from lsgan_tf.metrics.features import Choice
from lsgan_tf.metrics.scores import Settings
from lsgan_tf.utils import files, images
from lsgan_tf.utils.errors import UserError


class RaiseOnNaN(keras.callbacks.Callback):
    """Ends `fit` with an error where a metric is NaN or infinite, as the training command does.

    It looks after each call of the graph. The weights are then broken as well: go on from a
    checkpoint, for example of `BackupAndRestore`, with a smaller learning rate.

    Raises:
        UserError: in `fit`; names the metrics and the step.
    """

    def on_train_batch_end(self, batch, logs=None):
        broken = name_broken({name: float(value) for name, value in (logs or {}).items()})
        if broken:
            raise UserError(
                f"{' and '.join(broken)} became NaN or infinite by step {int(self.model.step)}. "
                "Take a smaller learning rate, or other labels: LeastSquares(0, 1, 1)."
            )


class SampleGrid(keras.callbacks.Callback):
    """Writes a grid of generated images, of the same latents each time, as DIRECTORY/0001.png.

    The generator is `sampling_generator`: the average where there is one. With labels a column
    shows a class. The grid before the first epoch is 0000.png.

    Args:
        directory: the folder; it is made.
        every: epochs between grids.
        seed: of the latents.
    """

    def __init__(self, directory, every=1, seed=0):
        super().__init__()
        self._directory, self._every, self._seed = Path(directory), every, seed

    def on_train_begin(self, logs=None):
        generator = self.model.sampling_generator
        rows, self._columns = images.grid_size(generator.num_classes)
        count = rows * self._columns
        self._latents = sampler.draw_latents(generator, count, self._seed)
        self._labels = sampler.labels_for(count, self._columns, generator.num_classes)
        self._sampler = sampler.Sampler(generator)
        if int(self.model.step) == 0:
            self._write(0)

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self._every == 0:
            self._write(epoch + 1)

    def _write(self, epoch):
        path = self._directory / f"{epoch:04d}.png"
        files.make_parent(path)
        pictures = self._sampler(self._latents, self._labels)
        picture_files.write_grid(path, pictures, self._columns)


class Scores(keras.callbacks.Callback):
    """Scores generated images against real ones: FID, KID, precision and recall and the rest.

    They go into the logs of every epoch, under the names of `metrics.jsonl`: "fid", for example.
    List this callback before those that read them: `ModelCheckpoint(..., monitor="fid",
    mode="min", save_best_only=True)`, `EarlyStopping`, `CSVLogger`, `TensorBoard`.

    Args:
        real: real images, uint8 [N, H, W, C]; or a data set of `lsgan_tf.datasets.load`.
        labels: integers [N], of a GAN with labels and real images in an array.
        every: epochs between scores; the first epoch has some, too, and those without repeat the
            last ones.
        images: how many, generated and real.
        features: as `--features` of the commands: "inception-2015", which is fetched on first use,
            "keras:NAME", or the path of a SavedModel or .keras file.
        data_dir: where what is fetched and what was measured of the real images is kept.

    Raises:
        UserError: the real images are of another kind; in `fit`: the features are not available.
    """

    def __init__(
        self,
        real: np.ndarray | Dataset,
        labels: np.ndarray | None = None,
        *,
        every: int = 1,
        images: int = 10_000,
        features: str = "inception-2015",
        data_dir: str = "data",
    ):
        super().__init__()
        self._every = every
        self._dataset = real if isinstance(real, Dataset) else InMemory(real, labels)
        self._settings = Settings(images=images)
        self._choice = Choice(features, data_dir=data_dir)

    def on_train_begin(self, logs=None):
        real = RealImages.of_generators(self._dataset, self._settings.images)
        self._evaluator = Evaluator(self._choice, self._settings, real)
        self._evaluator.measure_reference()
        self._sampler = sampler.Sampler(self.model.sampling_generator)
        self._values = {}

    def on_epoch_end(self, epoch, logs=None):
        if not self._values or (epoch + 1) % self._every == 0:
            generator = self.model.sampling_generator
            names = self._dataset.class_names if generator.num_classes else None
            scores, *_ = score_generator(self._evaluator, generator, names, self._sampler)
            self._values = {score.name: float(score.value) for score in scores}
        logs.update(self._values)
