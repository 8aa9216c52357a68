"""A pool of processes for conversions: they report progress, stop on request, end with the parent.

They are spawned, because fork and TensorFlow's threads do not mix, and so import the caller's main
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
_LARGEST_PICTURE_BLOCK = 1 << 25  # bytes; larger ones are returned to the system at once

_SECONDS_TO_DIE = 10


class Task(NamedTuple):
    """One call for a process of the pool to make; all of it is picklable."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def run(tasks: list[Task], processes: int, bar: tqdm.tqdm) -> Iterator[Any]:
    """Takes tasks off the front of `tasks` until it is empty; yields results as they come.

    The caller may clear `tasks` in between: those that have started are then still finished. When
    it stops iterating, or a task fails, the others are abandoned.

    Args:
        tasks: what to do.
        processes: the largest number of processes.
        bar: advances by what the tasks `count`.

    Raises:
        UserError: a process of the pool died.
        Exception: what a task raised.
    """
    if not tasks:
        return
    context = multiprocessing.get_context("spawn")
    done, stop = context.Value("q"), context.Value("b", lock=False)
    before = bar.n
    running: set[Future] = set()
    started: set[BaseProcess] = set()
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
                    started.update(multiprocessing.active_children())
                finished, running = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                if interrupts:
                    raise KeyboardInterrupt
                bar.update(before + done.value - bar.n)
                for future in finished:
                    yield future.result()
            if interrupts:  # since the last look
                raise KeyboardInterrupt
        except BrokenProcessPool:
            raise UserError(_why_died(started)) from None
        finally:
            stop.value = 1


@contextlib.contextmanager
def _noted_interrupts() -> Iterator[list[int]]:
    """Notes each Ctrl-C while the pool runs, instead of raising `KeyboardInterrupt` at once.

    Raised anywhere, it could be swallowed, or interrupt the end of the pool.
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
    """Keeps Ctrl-C, which a terminal sends to all its processes, from those started here."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which they inherit
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _why_died(processes: Iterable[BaseProcess]) -> str:
    """Why a process of the pool has died; the executor has then ended the others."""
    # Not `join`: it returns early if the executor's thread is first to learn of the death.
    deadline = time.monotonic() + _SECONDS_TO_DIE
    while any(process.exitcode is None for process in processes) and time.monotonic() < deadline:
        time.sleep(0.01)
    statuses = [process.exitcode or 0 for process in processes]
    signals = {-status for status in statuses if status}
    if signals & {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT}:
        return (
            "a process of the pool crashed in a library that reads the source: the source is "
            "probably damaged. Get it again and run the same command."
        )
    if any(status > 0 for status in statuses):
        return "a process of the pool could not start or failed; its message is printed above"
    return (
        "a process of the pool was killed, perhaps for lack of memory. Run the same command "
        "again, it continues; fewer --processes need less memory."
    )


# In a process of the pool.


class Stopped(Exception):
    """The caller of `run` has stopped while this task ran."""


_done: Synchronized | None = None  # shared by all processes of a `run`
_stop: Any = None


def count(number: int = 1) -> None:
    """Reports, from a task, that `number` more items are done.

    Raises:
        Stopped: the caller of `run` no longer waits for the task.
    """
    with _done:
        _done.value += number
    if _stop.value:
        raise Stopped


def _start(done: Synchronized, stop: Any) -> None:
    global _done, _stop
    _done, _stop = done, stop
    _keep_memory()

    def die_with_parent() -> None:
        # Otherwise, after the parent is killed, this process would wait for work without end, or,
        # worse, write beside the processes of the next start.
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=die_with_parent, daemon=True).start()


def _keep_memory() -> None:
    """Makes glibc keep the memory of a picture for the next one.

    By default it returns blocks of this size to the system and gets them again page by page, which
    took a fifth of the time of decoding photographs. Other C libraries are left as they are.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_PICTURE_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST_PICTURE_BLOCK)
