"""From serialized examples to pixels and labels; which record it was that made a step fail."""

import atexit
import collections
import contextlib
import dataclasses
import io
import re
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from PIL import Image

from lsgan_tf.datasets import pictures
from lsgan_tf.datasets.manifest import Manifest
from lsgan_tf.datasets.record_reader import RecordFiles
from lsgan_tf.utils.errors import UserError

_REMEMBERED = 256  # slices: more than lie between reading one and learning that it failed
_QUIET_SECONDS = 0.05
_PATIENCE_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class Decoder:
    """How to turn serialized examples into pixels.

    Attributes:
        decode: maps examples, string [b], to (pixels [b, H, W, C], uint8 or float32 in 0..255;
            int64 labels [b], all 0 for an unlabelled set). It fails if an example is not what it
            should be.
        image_shape: H, W, C.
        reason: says, slowly, what is wrong with an example that `decode` fails for, or None if it
            does not know.
        label_key: the feature that holds the label of a labelled set.
    """

    decode: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
    image_shape: tuple[int, int, int]
    reason: Callable[[bytes], str | None] = lambda example: None
    label_key: str = "label"


def converted(manifest: Manifest, image_size: int = 0) -> Decoder:
    """Decodes the records of a set in the on-disk format, resized if `image_size` > 0."""
    height, width, channels = manifest.image_shape
    resized = image_size > 0 and (height, width) != (image_size, image_size)
    image_shape = (image_size, image_size, channels) if resized else manifest.image_shape
    decode_image = tf.io.decode_png if manifest.encoding == "png" else tf.io.decode_jpeg
    features = {"image": tf.io.FixedLenFeature([], tf.string)}
    if manifest.class_names is not None:
        features["label"] = tf.io.FixedLenFeature([], tf.int64)

    def decode_one(data: tf.Tensor) -> tf.Tensor:
        # As many channels as it has, not converted: another number than recorded is an error.
        image = tf.ensure_shape(decode_image(data), manifest.image_shape)
        return square(image, image_size) if resized else image

    def decode(examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = tf.io.parse_example(examples, features)
        # Within a batch, not image by image: fewer, larger steps of tf.data.
        pixels = tf.map_fn(
            decode_one,
            parsed["image"],
            parallel_iterations=16,
            fn_output_signature=image_spec(image_shape, resized),
        )
        return pixels, parsed.get("label", tf.zeros(tf.shape(examples), tf.int64))

    return Decoder(decode, image_shape, lambda example: _misfit(example, manifest))


def _misfit(data: bytes, manifest: Manifest) -> str | None:
    """What about this record is not as the manifest says."""
    feature = tf.train.Example.FromString(data).features.feature
    images, labels = feature["image"].bytes_list.value, feature["label"].int64_list.value
    if len(images) != 1:
        return f"it has {len(images)} pictures, not 1"
    if manifest.class_names is not None and len(labels) != 1:
        return f"it has {len(labels)} labels, not 1"
    try:
        with Image.open(io.BytesIO(images[0]), formats=("PNG", "JPEG")) as image:
            shape = image.height, image.width, len(image.getbands())
            image.load()
    except Exception as error:  # Pillow's plugins raise nearly anything for damaged pictures
        return f"its picture does not decode ({pictures.reason(error)})"
    if shape != manifest.image_shape:
        actual, recorded = ("x".join(map(str, sides)) for sides in (shape, manifest.image_shape))
        return f"its picture is {actual}, not {recorded}"
    try:
        tf.io.decode_image(images[0])  # checks more than Pillow does, such as a PNG's checksums
    except tf.errors.InvalidArgumentError:
        return "its picture does not decode (its file is damaged)"
    return None


def image_spec(image_shape: tuple[int, int, int], resized: bool) -> tf.TensorSpec:
    """One decoded image: bytes as stored, or what resizing makes of them."""
    return tf.TensorSpec(image_shape, tf.float32 if resized else tf.uint8)


def square(image: tf.Tensor, size: int) -> tf.Tensor:
    """Cuts the largest centred square out of [H, W, C] and resizes it, antialiased bilinear.

    Returns:
        float32 [size, size, C] in the range of `image`.
    """
    height, width = tf.unstack(tf.shape(image)[:2])
    side = tf.minimum(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    crop = image[top : top + side, left : left + side]
    resized = tf.image.resize(crop, (size, size), antialias=True)
    return tf.ensure_shape(resized, (size, size, image.shape[-1]))


class ExampleReader:
    """The examples of a data set by number: serialized, or as pixels and labels.

    Attributes:
        error: the first unusable record found, or None; see `explain`.
    """

    def __init__(
        self,
        name: str,
        records: RecordFiles,
        decoder: Decoder,
        class_names: tuple[str, ...] | None,
    ):
        self.error: UserError | None = None
        self._name = name
        self._records = records
        self._decoder = decoder
        self._class_names = class_names
        self._recent: collections.deque[np.ndarray] = collections.deque(maxlen=_REMEMBERED)
        signature = [tf.TensorSpec([None], tf.string)]
        self._decode_graph = tf.function(self.decode, input_signature=signature, autograph=False)

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """The serialized examples of these numbers: bytes objects [count].

        TensorFlow's threads call this.

        Raises:
            UserError: a record is damaged; names it and its file. Kept as `error`.
        """
        try:
            self._recent.append(numbers)
            with _reads.counted():
                return np.array([self._read_one(number) for number in numbers], dtype=object)
        except UserError as error:
            self.error = self.error or error
            raise

    def decode(self, examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What the decoder makes of serialized examples, with labels checked; see `Decoder`."""
        pixels, labels = self._decoder.decode(examples)
        if self._class_names is not None:
            known = (labels >= 0) & (labels < len(self._class_names))
            tf.debugging.Assert(tf.reduce_all(known), ["labels", labels])
        return pixels, labels

    def read_decoded(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pixels of these examples, [count, H, W, C] in 0..255, and int32 labels [count].

        Raises:
            UserError: a record cannot be read or is not what it should be; names file and record.
        """
        try:
            with tf.device("CPU:0"):
                pixels, labels = self._decode_graph(tf.constant(self.read(numbers)))
        except tf.errors.OpError as error:
            raise self.explain(error) or error from None
        return pixels.numpy(), labels.numpy().astype(np.int32)

    def read_label(self, number: int) -> int:
        """The label of an example, whose picture is not decoded.

        Raises:
            UserError: the record cannot be read or has not one label, of a class; names file and
                record.
        """
        features = tf.train.Example.FromString(self._read_one(number)).features.feature
        values = features[self._decoder.label_key].int64_list.value
        if len(values) != 1:
            raise self._misfit(number, f"it has {len(values)} labels, not 1")
        if wrong := self._wrong_label(values[0]):
            raise self._misfit(number, wrong)
        return values[0]

    def explain(self, error: Exception) -> UserError | None:
        """Says which record made a step fail, if one did; see `Dataset.explain`."""
        if self.error is None and isinstance(error, tf.errors.InvalidArgumentError):
            self.error = self._find_misfit()
        return self.error

    def _find_misfit(self) -> UserError | None:
        """Searches the slices read most recently, the oldest first."""
        with tf.device("CPU:0"):
            for numbers in list(self._recent):
                try:
                    self._decode_graph(tf.constant([self._read_one(number) for number in numbers]))
                except UserError as damaged:
                    return damaged
                except tf.errors.OpError:
                    for number in numbers:
                        if reason := self._reason(self._read_one(number)):
                            return self._misfit(number, reason)
        return None

    def _misfit(self, number: int, reason: str) -> UserError:
        return UserError(
            f"{self._records.where(number)} does not fit data set {self._name}: {reason}. The file "
            "was damaged or changed; copy or convert the data set again."
        )

    def _reason(self, example: bytes) -> str | None:
        """Why this example does not decode, or None if it does."""
        try:
            _, labels = self._decoder.decode(tf.constant([example]))
        except (tf.errors.OpError, ValueError) as error:
            return self._decoder.reason(example) or f"it does not decode ({_gist(error)})"
        return self._wrong_label(int(labels[0]))

    def _wrong_label(self, label: int) -> str | None:
        if self._class_names is None or 0 <= label < len(self._class_names):
            return None
        return f"its label is {label}, not within 0..{len(self._class_names) - 1}"

    def _read_one(self, number: int) -> bytes:
        data = self._records.read(number)
        try:
            # Takes a microsecond; what TensorFlow says about such data may not even be text.
            tf.train.Example.FromString(data)
        except DecodeError:
            raise self._misfit(number, "it is not a tf.train.Example") from None
        return data


def _gist(error: Exception) -> str:
    """TensorFlow's message without the names of its operations and the code it went through."""
    message = getattr(error, "message", str(error))
    return re.sub(r"\{\{.*?\}\}|\[Op:.*?\]", "", message).strip().splitlines()[-1].strip()


class _Reads:
    """Lets the reads of TensorFlow's threads end before the interpreter does.

    `tf.numpy_function` calls Python from TensorFlow's threads. One that waits for the interpreter's
    lock at the moment the interpreter shuts down never returns, and TensorFlow then waits for it
    without end: the process hangs after its last line. A pipeline that nothing takes from any more
    fills its buffers and stops reading within milliseconds, so it is enough to wait for that at
    exit.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._active = 0
        self._last_end = 0.0

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self._active += 1
        try:
            yield
        finally:
            with self._lock:
                self._active -= 1
                self._last_end = time.monotonic()

    def wait_until_quiet(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self._busy() and time.monotonic() < deadline:
            time.sleep(_QUIET_SECONDS / 5)

    def _busy(self) -> bool:
        with self._lock:
            return self._active > 0 or time.monotonic() - self._last_end < _QUIET_SECONDS


_reads = _Reads()
atexit.register(_reads.wait_until_quiet)
