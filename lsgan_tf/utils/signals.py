"""Stopping a run from outside without losing a step."""

import signal


class StopRequest:
    """While active, SIGTERM and the first SIGINT are noted instead of obeyed; a second SIGINT
    interrupts as usual.

    Attributes:
      received: the signal that asked to stop, or None.
    """

    def __init__(self):
        self.received = None
        self._before = {}

    def __enter__(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, _):
        self.received = signal.Signals(number)
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)
