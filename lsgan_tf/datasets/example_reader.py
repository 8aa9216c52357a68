"""Reads and decodes examples by number; finds the record that made a step fail."""

import atexit
import collections
import contextlib
import re
import threading
import time
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from lsgan_tf.datasets.decoding import Decoder
from lsgan_tf.utils.errors import UserError

_REMEMBERED = 256  # slices: more than lie between reading one and learning that it failed
_QUIET_SECONDS = 0.05
_PATIENCE_SECONDS = 5.0


class Records(Protocol):
    """A numbered sequence of serialized examples, as `record_reader.RecordFiles` is."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> bytes:
        """The example of this number; raises `UserError` if it is damaged."""
        ...

    def where(self, index: int) -> str:
        """What to call this example in a message: its file and its place there."""
        ...


class ExampleReader:
    """The examples of a data set by number: serialized, or as pixels and labels.

    Attributes:
        error: the first unusable record found, or None; see `explain`.
    """

    def __init__(
        self, name: str, records: Records, decoder: Decoder, class_names: tuple[str, ...] | None
    ):
        self.error: UserError | None = None
        self._name = name
        self._records = records
        self._decoder = decoder
        self._class_names = class_names
        self._recent: collections.deque[np.ndarray] = collections.deque(maxlen=_REMEMBERED)
        signature = [tf.TensorSpec([None], tf.string)]
        self._decode_graph = tf.function(self.decode, input_signature=signature)

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
            explained = self.explain(error)
            if explained is None:
                raise
            raise explained from None
        return pixels.numpy(), labels.numpy().astype(np.int32)

    def read_label(self, number: int) -> int:
        """The label of an example, whose picture is not decoded.

        Raises:
            UserError: the record cannot be read or has not one label; names file and record.
        """
        features = tf.train.Example.FromString(self._read_one(number)).features.feature
        values = features[self._decoder.label_key].int64_list.value
        if len(values) != 1:
            raise self._misfit(number, f"it has {len(values)} labels, not 1")
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
        label = int(labels[0])
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
