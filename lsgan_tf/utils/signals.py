"""Stopping a run from outside without losing a step."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class StopRequest:
    """Notes SIGTERM, SIGHUP and the first SIGINT while active, instead of ending the process.

    A second SIGINT interrupts as usual, but for `holding`. SIGHUP, which a closing terminal sends,
    stays ignored if it was ignored before: `nohup` asks for that. In a thread, which Python lets
    handle no signals, all is as it was.

    Attributes:
        received: the signal that asked to stop, or None.
    """

    def __init__(self):
        self.received: signal.Signals | None = None
        self._before = {}
        self._is_holding = False
        self._interrupts = 0  # how many SIGINTs have come

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Within it a second SIGINT waits until its end, so that it does not cost what is being
        saved: a notebook's Stop is often pressed twice. A third one interrupts at once."""
        self._is_holding = True
        try:
            yield
        finally:
            self._is_holding = False
        if self._interrupts > 1:
            raise KeyboardInterrupt

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = signal.Signals(number)
        if number == signal.SIGINT:
            self._interrupts += 1
            if self._interrupts > (2 if self._is_holding else 1):
                raise KeyboardInterrupt
