"""Images of an array as a data set to score against."""

import hashlib
from collections.abc import Sequence

import numpy as np

from lsgan_tf.datasets import order
from lsgan_tf.utils.errors import UserError


class InMemory:
    """What scores ask of a `Dataset`, of an array.

    Args:
        images: uint8 [N, H, W, C].
        labels: integers [N], or None.
        class_names: names of the labels; None: their numbers.

    Raises:
        UserError: the images or labels are of another kind.
    """

    name = "images in memory"

    def __init__(
        self,
        images: np.ndarray,
        labels: Sequence[int] | None = None,
        class_names: Sequence[str] | None = None,
    ):
        self._images = np.asarray(images)
        if self._images.dtype != np.uint8 or self._images.ndim != 4:
            raise UserError(
                f"Scores are taken against uint8 images [N, H, W, C] of 0..255; these are "
                f"{self._images.dtype} {list(self._images.shape)}."
            )
        self._labels = None if labels is None else np.asarray(labels, np.int32).reshape(-1)
        if self._labels is not None and len(self._labels) != len(self._images):
            raise UserError(f"{len(self._labels)} labels for {len(self._images)} images.")
        self.image_shape = self._images.shape[1:]
        self.num_examples = len(self._images)
        self.class_names = None
        if self._labels is not None:
            self.class_names = tuple(class_names or map(str, range(self._labels.max() + 1)))
        digest = hashlib.sha256(np.ascontiguousarray(self._images))
        digest.update(b"" if labels is None else self._labels.tobytes())
        self.fingerprint = digest.hexdigest()

    def in_order(self, positions: np.ndarray) -> np.ndarray:
        """As `Dataset.in_order`."""
        return order.permuted(positions, self.num_examples, (0, 0))

    def examples(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """As `Dataset.examples`."""
        return self._images[numbers], None if self._labels is None else self._labels[numbers]
