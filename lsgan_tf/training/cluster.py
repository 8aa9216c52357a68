"""What the workers of a run exchange: facts, flags, variables, and why one of them stops.

TensorFlow's coordination service keeps their messages and notices a worker that is lost.
"""

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.eager.context import context  # the service has no public interface

from lsgan_tf.training.rendezvous import SHUTDOWN_TIMEOUT, Task, is_reachable
from lsgan_tf.utils.errors import UserError, first_line, printable

_MESSAGE_TIMEOUT = 5  # seconds to wait for a message before checking that all workers are there
# What TensorFlow raises when a worker is lost; some errors only say so in their text.
_LOSS_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
_LOSS_WORDS = ("Collective ops is aborted", "CoordinationService", "Connection reset by peer")


class _KnownToAll(UserError):
    """A mistake that every worker has been told."""


class Alone:
    """A run of one process, with the interface of `Cluster`."""

    is_chief = True
    count = 1
    index = 0

    def together(self):
        return contextlib.nullcontext()

    def agree(self, facts):
        pass

    def from_chief(self, make):
        return make()

    def any(self, flag):
        return flag

    def broadcast(self, number):
        return number

    def barrier(self):
        pass

    def share(self, variables):
        pass


class Cluster:
    """The workers of a `tf.distribute.MultiWorkerMirroredStrategy`, seen from one of them.

    All workers must call the methods that exchange something in the same order.

    Args:
        strategy: the strategy.
        task: this worker's `Task`.

    Attributes:
        is_chief: whether this is the worker that writes.
        count: how many workers there are.
        index: which one this is; the chief is 0.
    """

    def __init__(self, strategy: tf.distribute.Strategy, task: Task):
        self._strategy, self._task = strategy, task
        self.count, self.index = len(task.addresses), task.index
        self.is_chief = self.index == 0
        self._messages = 0  # that all workers have exchanged so far
        self._sum = tf.function(self._sum_over_workers, autograph=False)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """A context that all workers leave together.

        A mistake that ends this worker is reported to the others. The loss of another worker
        becomes a `UserError` here.

        Raises:
            UserError: another worker is lost. Raised within `HEARTBEAT_TIMEOUT` seconds, mostly at
                once if its process has ended.
        """
        try:
            yield
        except _KnownToAll:
            raise
        except UserError as error:
            self._report(str(error))
            raise
        except tf.errors.OpError as error:
            if not self._is_loss(error):
                self._report(printable(first_line(error)))
                raise
            reason = self._explain_loss(str(error))
            self._report(reason)  # some workers only see that this one is gone as well
            raise UserError(reason) from error

    def _report(self, message):
        with contextlib.suppress(tf.errors.OpError):
            self._publish("lsgan_tf/stopped", {"by": self.index, "why": message})
        with contextlib.suppress(tf.errors.OpError):
            context().report_error_to_cluster(tf.errors.ABORTED, f"<<{message}>>")

    @staticmethod
    def _is_loss(error):
        return isinstance(error, _LOSS_ERRORS) or any(words in str(error) for words in _LOSS_WORDS)

    def _explain_loss(self, message):
        """A message for people, from TensorFlow's message."""
        reported = re.search(r"reported from /job:(\w+)/task:(\d+): <<(.*?)>>", message, re.DOTALL)
        if reported:
            kind, number, why = reported.groups()
            return self._stopped([self._task.names.index((kind, int(number)))], why)
        named = re.findall(r"/job:(\w+)(?:/replica:\d+)?/task:(\d+)", message)
        named = [(kind, int(number)) for kind, number in named]
        lost = [i for i in self._others() if self._task.names[i] in named]
        return self._stopped(lost or self._unreachable())

    def _stopped(self, lost, why=None):
        names = " and ".join(self._task.describe(i) for i in lost) or "another worker"
        reason = f"Its message: {why}" if why else "Its last output may say why."
        return (
            f"{names} stopped or cannot be reached. {reason}\nAll workers stop with it; the same "
            "commands go on from the last checkpoint."
        )

    def _others(self):
        return [i for i in range(self.count) if i != self.index]

    def _unreachable(self):
        return [i for i in self._others() if not is_reachable(self._task.addresses[i])]

    def _publish(self, key, value):
        context().set_config_key_value(key, json.dumps(value))

    def _read(self, key):
        """A published value; waits for it as long as all workers are there."""
        while True:
            with contextlib.suppress(tf.errors.DeadlineExceededError):
                return self._read_within(key, _MESSAGE_TIMEOUT)
            self._check_all_are_there()

    def _check_all_are_there(self):
        with contextlib.suppress(tf.errors.DeadlineExceededError):
            stopped = self._read_within("lsgan_tf/stopped", 0.01)
            raise _KnownToAll(self._stopped([stopped["by"]], stopped["why"]))
        unreachable = self._unreachable()
        if unreachable:
            raise UserError(self._stopped(unreachable))

    @staticmethod
    def _read_within(key, seconds):
        milliseconds = int(seconds * 1000)
        return json.loads(context().get_config_key_value(key, timeout_in_ms=milliseconds))

    def _next_key(self):
        self._messages += 1
        return f"lsgan_tf/{self._messages}"

    def agree(self, facts: dict[str, Any]) -> None:
        """Checks that all workers were started alike.

        Args:
            facts: what must be equal, by name; values become JSON.

        Raises:
            UserError: on every worker, naming each difference and both values.
        """
        key = self._next_key()
        self._publish(f"{key}/{self.index}", facts)
        first, *others = (self._read(f"{key}/{i}") for i in range(self.count))
        lines = [
            f"  {name}: {_spell(first.get(name))} on worker 0, {_spell(other.get(name))} on "
            f"worker {i}"
            for i, other in enumerate(others, start=1)
            for name in sorted(first.keys() | other.keys())
            if first.get(name) != other.get(name)
        ]
        if lines:
            self._part(key)
            raise _KnownToAll(
                "the workers were started differently:\n" + "\n".join(lines) + "\nGive all of "
                "them the same flags, data and versions."
            )

    def from_chief(self, make: Callable[[], Any]) -> Any:
        """The value of `make()` on the chief, which becomes JSON, on every worker.

        Raises:
            UserError: on every worker, if `make` raises it.
        """
        key = self._next_key()
        if not self.is_chief:
            message = self._read(key)
            if "error" in message:
                self._part(key)
                raise _KnownToAll(f"{self._task.describe(0)} stops: {message['error']}")
            self._publish(f"{key}/read/{self.index}", True)
            return message["value"]
        try:
            value = make()
        except UserError as error:
            self._publish(key, {"error": str(error)})
            self._part(key)
            raise _KnownToAll(str(error)) from error
        self._publish(key, {"value": value})
        for i in self._others():
            self._read(f"{key}/read/{i}")
        return value

    def _part(self, key):
        """Before this worker ends: the chief, who keeps the messages, waits until all are read."""
        self._publish(f"{key}/read/{self.index}", True)
        deadline = time.monotonic() + SHUTDOWN_TIMEOUT
        for i in self._others() if self.is_chief else ():
            with contextlib.suppress(tf.errors.OpError):
                left = max(deadline - time.monotonic(), 0.01)
                self._read_within(f"{key}/read/{i}", left)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on one of the workers."""
        return self._total(int(flag)) > 0

    def broadcast(self, number: int) -> int:
        """The chief's number, on every worker."""
        return self._total(number if self.is_chief else 0)

    def barrier(self) -> None:
        """Returns when all workers have called it."""
        self._total(0)

    def _total(self, number):
        """The sum over all workers."""
        return int(self._sum(tf.constant(number, tf.int32)))

    def _sum_over_workers(self, number):
        per_worker = self._strategy.num_replicas_in_sync // self.count

        def on_replica(number):
            replica = tf.distribute.get_replica_context()
            first = replica.replica_id_in_sync_group % per_worker == 0
            return replica.all_reduce("SUM", number * tf.cast(first, number.dtype))

        results = self._strategy.run(on_replica, (number,))
        return self._strategy.experimental_local_results(results)[0]

    def share(self, variables: list[keras.Variable]) -> None:
        """Gives every worker the chief's values of these variables, bit for bit."""

        def on_replica():
            replica = tf.distribute.get_replica_context()
            is_first = replica.replica_id_in_sync_group == 0
            # As integers of one type: adding zeros changes no bit, and all go in one message.
            bits = [tf.bitcast(variable.value, tf.int32) for variable in variables]
            masked = [part * tf.cast(is_first, tf.int32) for part in bits]
            for variable, shared in zip(variables, replica.all_reduce("SUM", masked), strict=True):
                variable.value.assign(tf.bitcast(shared, variable.value.dtype))

        tf.function(lambda: self._strategy.run(on_replica), autograph=False)()


def _spell(value):
    return "nothing" if value is None else printable(str(value))
