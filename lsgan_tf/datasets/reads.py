"""Lets the reads of TensorFlow's threads end before the interpreter does.

`tf.numpy_function` calls Python from TensorFlow's threads. One that waits for the interpreter's
lock at the moment the interpreter shuts down never returns, and TensorFlow then waits for it for
ever: the process hangs after its last line. A pipeline nobody takes from any more fills its buffers
and falls silent within milliseconds, so waiting for that, at exit, is enough.
"""

import atexit
import contextlib
import threading
import time
from collections.abc import Iterator

_QUIET_SECONDS = 0.05
_PATIENCE_SECONDS = 5.0


class _Reads:
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
counted = _reads.counted  # wraps what TensorFlow's threads call
atexit.register(_reads.wait_until_quiet)
