"""From a set of images to what scores need of it, in one pass that holds a batch at a time."""

import dataclasses

import numpy as np
import tqdm

from lsgan_tf.metrics.inception_score import InceptionScore, Posteriors, softmax
from lsgan_tf.metrics.moments import Moments
from lsgan_tf.utils.errors import UserError


class GivenUp(Exception):
    """Somebody asked to stop while images were being measured."""


def _never():
    return False


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """What scores need of a set of images."""

    moments: Moments
    features: np.ndarray  # float32 [kept, D], of the first images
    inception_score: InceptionScore | None  # of a network that classifies
    predicted: np.ndarray | None  # int32 [count], its classes
    labels: np.ndarray | None  # int32 [count], those the images have or were asked for with

    @property
    def count(self):
        """Images measured."""
        return self.moments.count


def measure(extractor, images, *, keep, what, progress=True, stop=_never):
    """Extracts the features of a set of images.

    Args:
        extractor: a `features.Extractor`.
        images: a `datasets.dataset.Numbered`.
        keep: of how many images, the first ones, the features are kept.
        what: a name for them in messages, for example "generated images".
        progress: draw a progress bar, on a terminal.
        stop: asked between batches whether to give up.

    Raises:
        GivenUp: `stop` said so.
        UserError: there are fewer than two images, or a feature is not a finite number.
    """
    if images.count < 2:
        raise UserError(f"{images.count} {what}: a score needs at least two images.")
    moments = Moments(extractor.dimension)
    posteriors = extractor.classes and Posteriors(images.count, extractor.classes)
    kept, predicted, labels = [], [], []
    # None: drawn on terminals only.
    hidden = None if progress else True
    with tqdm.tqdm(total=images.count, unit="image", desc=what, disable=hidden) as bar:
        for batch, batch_labels in images.batches(extractor.batch_size):
            if stop():
                raise GivenUp
            outputs = extractor(batch)
            _check_finite(outputs, moments.count, what, extractor)
            kept.append(outputs.features[: max(0, keep - moments.count)])
            moments.update(outputs.features)
            if posteriors:
                posteriors.update(softmax(outputs.logits))
                predicted.append(outputs.logits.argmax(axis=1).astype(np.int32))
            if batch_labels is not None:
                labels.append(batch_labels)
            bar.update(len(batch))
    return Measured(
        moments,
        np.concatenate(kept),
        posteriors.score() if posteriors else None,
        np.concatenate(predicted) if predicted else None,
        np.concatenate(labels) if labels else None,
    )


def _check_finite(outputs, first, what, extractor):
    found = [array for array in outputs if array is not None]
    if all(np.isfinite(array).all() for array in found):
        return
    raise UserError(
        f"--features={extractor.network.name} makes NaN or infinity of {what} "
        f"{first} to {first + len(outputs.features) - 1}: it is not a network for such images. "
        "Choose other --features."
    )
