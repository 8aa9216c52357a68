"""What was measured of real images, kept in a file, since it stays the same."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np

from lsgan_tf.metrics.inception_score import InceptionScore
from lsgan_tf.metrics.measuring import Measured, measure
from lsgan_tf.metrics.moments import Moments
from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError

_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Key:
    """Everything that changes what is measured. Files are named by its digest."""

    dataset: str
    fingerprint: str  # of the records
    split: str
    start: int  # positions in the split's fixed random order
    stop: int
    image_shape: tuple[int, int, int]  # after resizing
    network: str
    sha256: str  # of the network's weights
    resize: str
    dtype: str
    kept: int

    @classmethod
    def of(cls, extractor, part, split, keep):
        """The key of a `Part` of this split under an extractor."""
        dataset, network = part.dataset, extractor.network
        return cls(
            dataset.name,
            dataset.fingerprint,
            split,
            part.start,
            part.stop,
            tuple(dataset.image_shape),
            network.name,
            network.sha256,
            network.resize,
            extractor.dtype,
            keep,
        )

    def file(self, directory: Path) -> Path:
        """Where it is kept."""
        text = json.dumps([_FORMAT, dataclasses.asdict(self)], sort_keys=True)
        return Path(directory) / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"


def measured(extractor, part, *, split, keep, directory, **how):
    """`measure` of a `Part`, from the file if it is there; else the file is written.

    `how` are further arguments of `measure`. A file that is damaged is measured and written anew,
    with a message. A pass that is interrupted leaves no file.

    Raises:
        UserError: as `measure` does. That the file cannot be written is only warned of.
    """
    keep = min(keep, part.count)
    path = Key.of(extractor, part, split, keep).file(directory)
    if path.exists():
        try:
            return _read(path, part, keep, extractor)
        except Exception as error:  # nearly anything, on a damaged zip
            print(f"warning: {path} is damaged ({error}); measuring again.")
    what = f"real images ({split})"
    found = measure(extractor, part, keep=keep, what=what, **how)
    try:
        _write(path, found)
    except UserError as error:  # hours of work do not depend on keeping them
        print(f"warning: what was measured of real images is not kept: {error}")
    return found


def _write(path, found):
    arrays = {
        "count": found.count,
        "mean": found.moments.mean,
        "covariance": found.moments.covariance,
        "features": found.features,
        "inception_score": found.inception_score,
        "predicted": found.predicted,
        "labels": found.labels,
    }
    files.make_parent(path)
    with files.replacing(path) as file:
        np.savez(file, **{name: each for name, each in arrays.items() if each is not None})


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
