"""Worker processes for conversions: they report how far they are, obey and do not outlive us.

They are spawned, for fork and TensorFlow's threads do not mix, and so import the caller's main
module: call `run` from a command that does not import TensorFlow.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import Synchronized
from typing import Any, NamedTuple

import tqdm

from lsgan_tf.utils.errors import UserError

# Of mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_PICTURE_BLOCK = 1 << 25  # bytes; larger ones are given back at once

_SECONDS_TO_DIE = 10


class Task(NamedTuple):
    """One call for a worker to make; all of it is picklable."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def run(tasks: list[Task], processes: int, bar: tqdm.tqdm) -> Iterator[Any]:
    """Takes tasks off the front of `tasks` until it is empty; yields results as they come.

    The caller may clear `tasks` in between: those under way are then still finished. When it stops
    iterating, or a task fails, the others are abandoned.

    Args:
        tasks: what to do.
        processes: how many workers at most.
        bar: moves on by what the workers `count`.

    Raises:
        UserError: a worker died.
        Exception: what a task raised.
    """
    if not tasks:
        return
    context = multiprocessing.get_context("spawn")
    done, stop = context.Value("q"), context.Value("b", lock=False)
    before = bar.n
    running: set[Future] = set()
    workers: set[BaseProcess] = set()
    with (
        _noted_interrupts() as interrupts,
        ProcessPoolExecutor(
            max(1, min(processes, len(tasks))), context, _start, (done, stop)
        ) as pool,
    ):
        try:
            while tasks or running:
                while tasks and len(running) < processes:
                    task = tasks.pop(0)
                    with _uninterrupted():
                        running.add(pool.submit(task.function, *task.arguments))
                    workers.update(multiprocessing.active_children())
                finished, running = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                if interrupts:
                    raise KeyboardInterrupt
                bar.update(before + done.value - bar.n)
                for future in finished:
                    yield future.result()
            if interrupts:  # since the last look
                raise KeyboardInterrupt
        except BrokenProcessPool:
            raise UserError(_why_died(workers)) from None
        finally:
            stop.value = 1


@contextlib.contextmanager
def _noted_interrupts() -> Iterator[list[int]]:
    """Notes Ctrl-C for as long as workers run, a second one as well as the first.

    An exception at any place could end in one that swallows it, or in the middle of an ending.
    """
    noted: list[int] = []
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield noted
        return
    signal.signal(signal.SIGINT, lambda number, _: noted.append(number))
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keeps Ctrl-C, which a terminal sends to all of us, from workers that are started here."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which they inherit
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _why_died(workers: Iterable[BaseProcess]) -> str:
    """What to tell about workers one of which has died; the pool has then ended the others."""
    # Not `join`: it comes back early if the pool's own thread is first to hear of the death.
    deadline = time.monotonic() + _SECONDS_TO_DIE
    while any(worker.exitcode is None for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.01)
    died_of = {-worker.exitcode for worker in workers if worker.exitcode}
    if died_of & {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT}:
        return (
            "a worker process crashed in a library that reads the source: the source is probably "
            "damaged. Get it again and run the same command."
        )
    if any(code > 0 for code in (worker.exitcode or 0 for worker in workers)):
        return "a worker process could not start or ended by itself; its message is printed above"
    return (
        "a worker process was killed, perhaps for lack of memory. Run the same command "
        "again, it continues; fewer --processes need less memory."
    )


# In a worker process.


class Stopped(Exception):
    """The parent has given up while this task was under way."""


_done: Synchronized | None = None  # shared by all workers of a `run`
_stop: Any = None


def count(number: int = 1) -> None:
    """Tells, in a worker, that `number` more items are done; raises `Stopped` if nobody waits."""
    with _done:
        _done.value += number
    if _stop.value:
        raise Stopped


def _start(done: Synchronized, stop: Any) -> None:
    global _done, _stop
    _done, _stop = done, stop
    _keep_memory()

    def die_with_parent() -> None:
        # Otherwise a killed parent would leave us waiting for work for ever, or, worse, writing
        # beside the workers of the next start.
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=die_with_parent, daemon=True).start()


def _keep_memory() -> None:
    """Makes glibc keep the memory of a picture for the next one.

    It would give blocks of this size back to the system and fetch them again page by page, which
    took a fifth of the time of decoding photographs. Other C libraries are left as they are.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_PICTURE_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST_PICTURE_BLOCK)
