"""From a set of images to what scores need of it, in one pass that holds a batch at a time.

What was measured of real images is kept in a file, since it stays the same.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lsgan_tf.datasets.dataset import Numbered, Part
from lsgan_tf.metrics.extractor import Extractor
from lsgan_tf.metrics.fid import Moments
from lsgan_tf.metrics.inception_score import InceptionScore, Posteriors, softmax
from lsgan_tf.utils import files, progress
from lsgan_tf.utils.errors import UserError

_CACHE_FORMAT = 1  # of the files that keep what was measured of real images
_TOGETHER = 1000  # images that moments take at once: small products cost more than they compute


class GivenUp(Exception):
    """A stop was asked for while images were measured."""


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """What scores need of a set of images."""

    moments: Moments
    features: np.ndarray  # float32 [kept, D], of the first images
    inception_score: InceptionScore | None  # of a network that classifies
    predicted: np.ndarray | None  # int32 [count], its classes
    labels: np.ndarray | None  # int32 [count], those the images have or were asked for with

    @property
    def count(self) -> int:
        """How many images were measured."""
        return self.moments.count


def measure(
    extractor: Extractor,
    images: Numbered,
    *,
    keep: int,
    what: str,
    stop: Callable[[], bool] = lambda: False,
) -> Measured:
    """Extracts the features of a set of images; draws a progress bar on a terminal.

    Args:
        extractor: what turns images into features.
        images: the set.
        keep: of how many images, the first ones, the features are kept.
        what: a name for them in messages, for example "generated images".
        stop: asked between batches whether to give up.

    Raises:
        GivenUp: `stop` said so.
        UserError: there are fewer than two images, or a feature is not a finite number.
    """
    if images.count < 2:
        raise UserError(f"{images.count} {what}: a score needs at least two images.")
    moments = Moments(extractor.dimension)
    posteriors = extractor.classes and Posteriors(images.count, extractor.classes)
    seen, kept, waiting, predicted, labels = 0, [], [], [], []
    with progress.bar(total=images.count, unit="image", desc=what) as bar:
        for batch, batch_labels in images.batches(extractor.batch_size):
            if stop():
                raise GivenUp
            outputs = extractor(batch)
            _check_finite(outputs, seen, what, extractor)
            kept.append(outputs.features[: max(0, keep - seen)])
            waiting.append(outputs.features)
            seen += len(batch)
            if seen - moments.count >= _TOGETHER or seen == images.count:
                moments.update(np.concatenate(waiting))
                waiting.clear()
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
    if all(np.isfinite(array).all() for array in outputs if array is not None):
        return
    raise UserError(
        f"--features={extractor.network.name} makes NaN or infinity of {what} "
        f"{first} to {first + len(outputs.features) - 1}: it is not a network for such images. "
        "Choose other --features."
    )


def measure_real(
    extractor: Extractor,
    part: Part,
    *,
    split: str,
    keep: int,
    directory: Path,
    stop: Callable[[], bool] = lambda: False,
) -> Measured:
    """Measures real images, or reads what was measured of them before.

    A damaged file is measured and written anew, with a message. A pass that is interrupted leaves
    no file. A file that cannot be written is only warned of.

    Args:
        extractor: what turns images into features.
        part: the real images.
        split: the split they are of.
        keep: as of `measure`.
        directory: where the files are kept.
        stop: as of `measure`.

    Raises:
        GivenUp: `stop` said so.
        UserError: as `measure` does.
    """
    keep = min(keep, part.count)
    path = _cache_file(Path(directory), extractor, part, split, keep)
    if path.exists():
        try:
            return _read(path, part, keep, extractor)
        except Exception as error:  # nearly anything, on a damaged zip
            print(f"warning: {path} is damaged ({error}); measuring again.")
    what = f"real images ({split})"
    measured = measure(extractor, part, keep=keep, what=what, stop=stop)
    try:
        _write(path, measured)
    except UserError as error:  # the scores do not depend on the file
        print(f"warning: what was measured of real images is not kept: {error}")
    return measured


def _cache_file(directory, extractor, part, split, kept):
    """The file, named by a digest of everything that changes what is measured."""
    dataset, network = part.dataset, extractor.network
    key = {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "split": split,
        "start": part.start,  # positions in the split's fixed random order
        "stop": part.stop,
        "image_shape": dataset.image_shape,  # after resizing
        "network": network.name,
        "sha256": network.sha256,
        "resize": network.resize,
        "dtype": extractor.dtype,
        "kept": kept,
    }
    text = json.dumps([_CACHE_FORMAT, key], sort_keys=True)
    return directory / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"


def _write(path, measured):
    arrays = {
        "count": measured.count,
        "mean": measured.moments.mean,
        "covariance": measured.moments.covariance,
        "features": measured.features,
        "inception_score": measured.inception_score,
        "predicted": measured.predicted,
        "labels": measured.labels,
    }
    files.make_parent(path)
    with files.replacing(path) as file:
        np.savez(file, **{name: array for name, array in arrays.items() if array is not None})


def _read(path, part, kept, extractor):
    """Raises nearly anything on a damaged file, ValueError on one of other content."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    dimension, classes, count = extractor.dimension, extractor.classes, part.count
    shapes = {
        "count": (),
        "mean": (dimension,),
        "covariance": (dimension, dimension),
        "features": (kept, dimension),
    }
    if classes:
        shapes |= {"inception_score": (2,), "predicted": (count,)}
    if part.dataset.class_names is not None:
        shapes["labels"] = (count,)
    for name, shape in shapes.items():
        if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
            raise ValueError(f"its {name} has shape {arrays[name].shape}, not {shape}")
    for name, most in (("predicted", classes), ("labels", len(part.dataset.class_names or ()))):
        if name in shapes and not ((arrays[name] >= 0) & (arrays[name] < most)).all():
            raise ValueError(f"its {name} are not within 0..{most - 1}")
    if arrays["count"] != count:
        raise ValueError(f"it is of {arrays['count']} images, not {count}")
    score = arrays.get("inception_score")
    return Measured(
        Moments.restored(count, arrays["mean"], arrays["covariance"]),
        arrays["features"],
        None if score is None else InceptionScore(*map(float, score)),
        arrays.get("predicted"),
        arrays.get("labels"),
    )
