"""Feature networks, and the extractor that runs one on images."""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsgan_tf.utils import graphs
from lsgan_tf.utils.errors import UserError, first_line

BATCH_SIZE = 50


@dataclasses.dataclass(frozen=True)
class FeatureNetwork:
    """A network whose features are compared.

    `forward`, in graph operations, maps float32 images [N, H, W, channels] in 0..255 to (float32
    features [N, D], float32 logits [N, K] or None). Its variables are made when it is loaded, so
    load it within the scope of the strategy it runs under.
    """

    name: str  # as --features names it
    sha256: str  # of its weights
    resize: str  # what it does with the size of images, for people
    channels: int  # 1 or 3
    forward: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor | None]]
    # Of a classifier of a labelled data set only:
    class_names: tuple[str, ...] | None = None
    test_accuracy: float | None = None
    trained_on: str | None = None  # the fingerprint of its data set


def check_sha256(what: str, checksum: str, wanted: str) -> None:
    """Raises `UserError` unless the checksums agree; an empty `wanted` agrees with any."""
    if wanted and checksum != wanted.lower():
        raise UserError(
            f"{what} has sha256 {checksum}, not {wanted}: it is damaged or another one. Fetch it "
            "again, or correct --features_sha256."
        )


class Outputs(NamedTuple):
    """What a network makes of images."""

    features: np.ndarray  # float32 [N, D]
    logits: np.ndarray | None  # float32 [N, K], of a network that classifies


class Extractor:
    """Runs a feature network on uint8 images, in batches of one size, by one compiled function.

    Grey images are repeated in three channels for a network of colour. The last batch is filled
    up, so that an image's features do not depend on how many others there are.

    Args:
        network: what to run.
        image_shape: of the images, (height, width, channels).
        batch_size: images at a time, on each replica.
        dtype: "float32", or "bfloat16" for convolutions and products in that precision.
        strategy: the `tf.distribute` strategy in whose scope the network was loaded; each replica
            takes its part of a batch. None: the default one.

    Attributes:
        network: the same.
        dimension: length of the features.
        classes: number of logits, or None.
        repeats_grey: whether grey images are repeated for a network of colour.

    Raises:
        UserError: the network does not take such images, or does not return features [N, D].
    """

    def __init__(
        self,
        network: FeatureNetwork,
        image_shape: tuple[int, int, int],
        *,
        batch_size: int = BATCH_SIZE,
        dtype: str = "float32",
        strategy: tf.distribute.Strategy | None = None,
    ):
        self.network = network
        self.dtype = dtype
        self._strategy = strategy or tf.distribute.get_strategy()
        self._shape = tuple(image_shape)
        self._per_replica = batch_size
        self.batch_size = batch_size * self._strategy.num_replicas_in_sync
        self.repeats_grey = self._shape[2] == 1 and network.channels == 3
        if self._shape[2] == 3 and network.channels == 1:
            raise UserError(f"--features={network.name} takes grey images, these are in colour.")
        spec = tf.TensorSpec((self.batch_size, *self._shape), tf.uint8)
        self._run = tf.function(self._on_replicas, input_signature=[spec], autograph=False)
        first = self._trial()
        self.dimension = first.features.shape[1]
        self.classes = None if first.logits is None else first.logits.shape[1]

    def __call__(self, images: np.ndarray) -> Outputs:
        """Images uint8 [N, H, W, C], any N -> `Outputs`."""
        parts = [
            self._batch(images[start : start + self.batch_size])
            for start in range(0, len(images), self.batch_size)
        ]
        return Outputs(
            *(
                None if part[0] is None else np.concatenate(part)
                for part in zip(*parts, strict=True)
            )
        )

    def _batch(self, images):
        filled = np.zeros((self.batch_size, *self._shape), np.uint8)
        filled[: len(images)] = images
        with _precision(self.dtype):
            features, logits = self._run(tf.constant(filled))
        if len(features) != self.batch_size:
            raise UserError(
                f"--features={self.network.name} returns {len(features)} vectors for "
                f"{self.batch_size} images; it must be one an image."
            )
        cut = slice(len(images))
        return features.numpy()[cut], None if logits is None else logits.numpy()[cut]

    def _on_replicas(self, images):
        """All replicas' outputs, in the order of the images."""
        context = tf.distribute.get_replica_context

        def on_replica(everyone):
            first = context().replica_id_in_sync_group * self._per_replica
            return self._forward(everyone[first : first + self._per_replica])

        features, logits = self._strategy.run(on_replica, (images,))
        local = self._strategy.experimental_local_results
        together = tf.concat(local(features), axis=0)
        return together, None if logits is None else tf.concat(local(logits), axis=0)

    def _forward(self, images):
        pixels = tf.cast(images, tf.float32)
        if self.repeats_grey:
            pixels = tf.repeat(pixels, 3, axis=-1)
        features, logits = self.network.forward(pixels)
        if features.shape.rank != 2 or (logits is not None and logits.shape.rank != 2):
            raise UserError(
                f"--features={self.network.name} returns features of shape {features.shape}; they "
                "must be one vector an image, [N, D]."
            )
        features = tf.cast(features, tf.float32)
        return features, None if logits is None else tf.cast(logits, tf.float32)

    def _trial(self):
        """The outputs of a black image: mistakes show here, before any work is done."""
        try:
            return Outputs(*self._batch(np.zeros((1, *self._shape), np.uint8)))
        except UserError:
            raise
        except Exception as error:  # what a foreign network raises on images it does not take
            raise UserError(
                f"--features={self.network.name} does not take images of "
                f"{'x'.join(map(str, self._shape))}: {first_line(error)}"
            ) from error


@contextlib.contextmanager
def _precision(dtype):
    """Computes what is called within in float32, or lets TensorFlow put it into bfloat16."""
    allowed = tf.config.experimental.tensor_float_32_execution_enabled()
    if dtype == "float32":
        # GPUs round the factors of float32 products to 10 bits unless they are told not to.
        tf.config.experimental.enable_tensor_float_32_execution(False)
        option = contextlib.nullcontext()
    else:
        option = graphs.optimizer_option("auto_mixed_precision_onednn_bfloat16", True)
    try:
        with option:
            yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(allowed)
