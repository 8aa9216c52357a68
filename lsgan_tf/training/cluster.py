"""The workers that train one model together: who they are, what they agree on, how they part.

TensorFlow's coordination service does the work: it lets the workers meet, keeps the few words they
exchange, and notices one that has gone.
"""

import contextlib
import dataclasses
import faulthandler
import json
import os
import re
import signal
import socket
import sys
import time
from concurrent import futures

import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf.coordination_config_pb2 import CoordinatedJob
from tensorflow.python.eager.context import context  # no public name: the words go through it

from lsgan_tf.utils.errors import UserError, first_line, printable

SILENCE = 30  # seconds without a sign of life after which a worker counts as lost
_LEAVE_TAKING = 3  # seconds for the others to hear why a worker stops
_PROBE = 2  # seconds to reach a worker's port
_BETWEEN_PROBES = 0.3  # seconds
_QUEUE = 1024  # probes of others at this worker's port, which nobody takes from the queue
_PATIENCE = 5  # seconds to wait for a word before asking whether all are still there
_EXAMPLE = (
    '{"cluster": {"worker": ["host0:5000", "host1:5000"]}, "task": {"type": "worker", "index": 0}}'  # noqa: E501
)
# What TensorFlow raises in those that are left; of other kinds it says it in words.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
_LOST_WORDS = ("Collective ops is aborted", "CoordinationService", "Connection reset by peer")


@dataclasses.dataclass(frozen=True)
class Task:
    """One worker's place among all, from TF_CONFIG.

    Attributes:
      addresses: host:port of every worker, the chief's first.
      names: what TF_CONFIG calls each, such as ("worker", 0).
      index: which of them this process is.
    """

    addresses: tuple[str, ...]
    names: tuple[tuple[str, int], ...]
    index: int

    @classmethod
    def from_environment(cls):
        """Reads TF_CONFIG.

        Raises:
          UserError: if it is missing or malformed.
        """
        text = os.environ.get("TF_CONFIG")
        if not text:
            raise UserError(
                "--distribution=multi_worker needs TF_CONFIG in the environment, which says who "
                f"the workers are and which this one is:\n  export TF_CONFIG='{_EXAMPLE}'\n"
                "deploy/local_workers.sh 2 starts two of them on this machine."
            )
        try:
            return cls._parse(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"TF_CONFIG is malformed: {error}. It should look like\n  {_EXAMPLE}"
            ) from error

    @classmethod
    def _parse(cls, stored):
        cluster, task = (_entry(stored, name, dict) for name in ("cluster", "task"))
        unknown = sorted(cluster.keys() - {"chief", "worker"})
        if unknown:
            raise ValueError(
                f"its cluster has jobs of type {', '.join(unknown)}; a run has workers and at "
                "most one chief"
            )
        jobs = {
            kind: _entry(cluster, kind, list) for kind in ("chief", "worker") if kind in cluster
        }
        if len(jobs.get("chief", [])) > 1:
            raise ValueError("its cluster has more than one chief")
        names = tuple((kind, number) for kind in jobs for number in range(len(jobs[kind])))
        addresses = tuple(address for kind in jobs for address in jobs[kind])
        for address in addresses:
            if not isinstance(address, str) or not re.fullmatch(r"\S+:\d{1,5}", address):
                raise ValueError(f"{address!r} is not host:port")
        if len(set(addresses)) < len(addresses):
            raise ValueError("two of its workers have the same host:port")
        own = (_entry(task, "type", str), int(_entry(task, "index", int | str)))
        if own not in names:
            known = ", ".join(f"{kind} {number}" for kind, number in names) or "none"
            raise ValueError(f"its task is {own[0]} {own[1]}; its cluster has: {known}")
        return cls(addresses, names, names.index(own))

    @property
    def port(self):
        return int(self.addresses[self.index].rpartition(":")[2])

    def called(self, index):
        """How to speak of a worker."""
        return f"worker {index} of {len(self.addresses)} ({self.addresses[index]})"


def _entry(stored, name, kind):
    if not isinstance(stored, dict) or not isinstance(stored.get(name), kind):
        raise ValueError(f"{name!r} is missing or not what it should be")
    return stored[name]


def meet(task, timeout):
    """Waits for all workers; returns the `tf.distribute` strategy of their replicas.

    Call it before TensorFlow has done anything in this process.

    Args:
      task: this worker's `Task`.
      timeout: seconds to wait.

    Raises:
      UserError: if this worker's port is taken, if others are missing when the time is over, or if
        the cluster cannot be joined.
    """
    # Here and not within TensorFlow, whose wait cannot be interrupted and does not always end.
    _wait_for_all(task, timeout)
    kinds = [kind for kind, _ in task.names]
    context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:{}/task:{}".format(*task.names[0]),
        coordinated_jobs=[
            CoordinatedJob(name=kind, num_tasks=kinds.count(kind)) for kind in sorted(set(kinds))
        ],
        cluster_register_timeout_in_ms=SILENCE * 1000,
        heartbeat_timeout_in_ms=SILENCE * 1000,
        shutdown_barrier_timeout_in_ms=_LEAVE_TAKING * 1000,
    )
    # For a worker that dies in the moment between. Python cannot run until TensorFlow returns.
    faulthandler.dump_traceback_later(3 * SILENCE, exit=True, file=sys.__stderr__)
    try:
        with _signals_kept():
            return tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise UserError(
            f"{task.called(task.index)} could not join the others: {_gist(error)}. Was one of "
            "them still ending from an earlier start? Then start all of them again. Do all have "
            "the same cluster in TF_CONFIG?"
        ) from error
    finally:
        faulthandler.cancel_dump_traceback_later()


def _wait_for_all(task, timeout):
    """Listens at this worker's port until somebody listens at every other's: there, or already
    within TensorFlow."""
    deadline = time.monotonic() + timeout
    missing = [i for i in range(len(task.addresses)) if i != task.index]
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(_listening(task.port))
        except OverflowError as error:
            raise UserError(f"TF_CONFIG is malformed: {task.port} is no port.") from error
        except OSError as error:
            raise UserError(
                f"{task.called(task.index)} cannot listen at port {task.port}: {error.strerror}. "
                "Is another worker at work there? Else take another port in everybody's TF_CONFIG."
            ) from error
        while missing := _missing_of(task, missing):
            if time.monotonic() > deadline:
                names = " and ".join(map(task.called, missing))
                raise UserError(
                    f"{task.called(task.index)} waited {timeout} s in vain for {names}: cannot be "
                    "reached. Start them, look at what they print, or wait longer with "
                    "--worker_timeout."
                )
            time.sleep(_BETWEEN_PROBES)
        # Time for the others to see this one here; if not, they will see it within TensorFlow.
        time.sleep(2 * _BETWEEN_PROBES)


def _listening(port):
    """A socket that listens at a port, by IPv6 too where there is any."""
    if socket.has_dualstack_ipv6():
        family = socket.AF_INET6
        return socket.create_server(("", port), family=family, backlog=_QUEUE, dualstack_ipv6=True)
    return socket.create_server(("", port), backlog=_QUEUE)


def _missing_of(task, workers):
    """Those of the workers at whose port nobody listens; asks all at once."""
    if not workers:
        return []
    with futures.ThreadPoolExecutor(len(workers)) as pool:
        there = pool.map(reachable, [task.addresses[i] for i in workers])
        return [i for i, found in zip(workers, there, strict=True) if not found]


@contextlib.contextmanager
def _signals_kept():
    """Takes SIGTERM and SIGINT back from TensorFlow, which handles SIGTERM from its start on."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def reachable(address):
    """Whether somebody listens at host:port."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PROBE).close()
    except (OSError, ValueError, OverflowError):
        return False
    return True


class _KnownToAll(UserError):
    """A mistake that every worker has heard of."""


class Alone:
    """A run of one process, with what `Cluster` offers: there is nobody to ask."""

    is_chief = True
    count = 1
    index = 0

    @contextlib.contextmanager
    def together(self):
        yield

    def agree(self, facts):
        pass

    def from_chief(self, make):
        return make()

    def total(self, numbers):
        return numbers

    def share(self, variables):
        pass


class Cluster:
    """The workers of a `tf.distribute.MultiWorkerMirroredStrategy`, seen from one of them.

    All workers must call `agree`, `from_chief`, `total` and `share` in the same order.

    Attributes:
      is_chief: whether this is the worker that writes.
      count: how many workers there are.
      index: which this one is; the chief is 0.
    """

    def __init__(self, strategy, task):
        self._strategy, self._task = strategy, task
        self.count, self.index = len(task.addresses), task.index
        self.is_chief = self.index == 0
        self._words = 0
        self._total = tf.function(self._sum)

    @contextlib.contextmanager
    def together(self):
        """What all workers end together: a mistake that ends this one is told to the others, and
        one of the others that ends becomes a `UserError` here.

        Raises:
          UserError: within `SILENCE` seconds after another worker was lost, mostly at once if its
            process has ended.
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
                self._report(_gist(error))
                raise
            lost = self._lost(str(error))
            self._report(lost)  # some only see that this one is gone, too
            raise UserError(lost) from error

    def _report(self, message):
        with contextlib.suppress(tf.errors.OpError):
            self._publish("lsgan_tf/stopped", {"by": self.index, "why": message})
        with contextlib.suppress(tf.errors.OpError):
            context().report_error_to_cluster(tf.errors.ABORTED, f"<<{message}>>")

    @staticmethod
    def _is_loss(error):
        return isinstance(error, _LOST) or any(words in str(error) for words in _LOST_WORDS)

    def _lost(self, message):
        """What to say when TensorFlow says `message`."""
        reported = re.search(r"reported from /job:(\w+)/task:(\d+): <<(.*?)>>", message, re.DOTALL)
        if reported:
            kind, number, why = reported.groups()
            return self._stopped([self._task.names.index((kind, int(number)))], why)
        named = re.findall(r"/job:(\w+)(?:/replica:\d+)?/task:(\d+)", message)
        named = [(kind, int(number)) for kind, number in named]
        gone = [i for i in self._others() if self._task.names[i] in named]
        return self._stopped(gone or self._missing())

    def _stopped(self, gone, why=None):
        who = " and ".join(self._task.called(i) for i in gone) or "another worker"
        reason = f"It said: {why}" if why else "What it printed last may say why."
        return (
            f"{who} stopped or cannot be reached. {reason}\nAll workers stop with it; the same "
            "commands go on from the last checkpoint."
        )

    def _others(self):
        return [i for i in range(self.count) if i != self.index]

    def _missing(self):
        return [i for i in self._others() if not reachable(self._task.addresses[i])]

    def _publish(self, key, value):
        context().set_config_key_value(key, json.dumps(value))

    def _read(self, key):
        """A published value; waits for it as long as all are there."""
        while True:
            with contextlib.suppress(tf.errors.DeadlineExceededError):
                return self._read_within(key, _PATIENCE)
            self._check_all_are_there()

    def _check_all_are_there(self):
        with contextlib.suppress(tf.errors.DeadlineExceededError):
            stopped = self._read_within("lsgan_tf/stopped", 0.01)
            raise _KnownToAll(self._stopped([stopped["by"]], stopped["why"]))
        gone = self._missing()
        if gone:
            raise UserError(self._stopped(gone))

    @staticmethod
    def _read_within(key, seconds):
        milliseconds = int(seconds * 1000)
        return json.loads(context().get_config_key_value(key, timeout_in_ms=milliseconds))

    def _next_word(self):
        self._words += 1
        return f"lsgan_tf/{self._words}"

    def agree(self, facts):
        """Makes sure that all workers were started alike.

        Args:
          facts: {name: value} of what must be equal; values become JSON.

        Raises:
          UserError: on every worker, naming each difference and both values.
        """
        key = self._next_word()
        self._publish(f"{key}/{self.index}", facts)
        everyone = [self._read(f"{key}/{i}") for i in range(self.count)]
        lines = [
            f"  {name}: {_spell(first.get(name))} on worker 0, {_spell(other.get(name))} on "
            f"worker {i}"
            for first in everyone[:1]
            for i, other in enumerate(everyone)
            for name in sorted(first.keys() | other.keys())
            if first.get(name) != other.get(name)
        ]
        if lines:
            self._take_leave(key)
            raise _KnownToAll(
                "the workers were started differently:\n" + "\n".join(lines) + "\nGive all of "
                "them the same flags, data and versions."
            )

    def from_chief(self, make):
        """The chief's `make()`, which becomes JSON, on every worker.

        Raises:
          UserError: on every worker, if `make` raises it.
        """
        key = self._next_word()
        if not self.is_chief:
            told = self._read(key)
            if "error" in told:
                self._take_leave(key)
                raise _KnownToAll(f"{self._task.called(0)} stops: {told['error']}")
            self._publish(f"{key}/heard/{self.index}", True)
            return told["value"]
        try:
            value = make()
        except UserError as error:
            self._publish(key, {"error": str(error)})
            self._take_leave(key)
            raise _KnownToAll(str(error)) from error
        self._publish(key, {"value": value})
        self._wait_until_heard(key)
        return value

    def _wait_until_heard(self, key):
        """Of the chief: returns when every other worker has taken note of a word."""
        for i in self._others():
            self._read(f"{key}/heard/{i}")

    def _take_leave(self, key):
        """Lets the chief, without whom no word is heard, be the last to go; not for long."""
        self._publish(f"{key}/heard/{self.index}", True)
        deadline = time.monotonic() + _LEAVE_TAKING
        for i in self._others() if self.is_chief else ():
            with contextlib.suppress(tf.errors.OpError):
                left = max(deadline - time.monotonic(), 0.01)
                self._read_within(f"{key}/heard/{i}", left)

    def total(self, numbers):
        """The sums over all workers of each one's list of integers."""
        return self._total(tf.constant(numbers, tf.int32)).numpy().tolist()

    def _sum(self, numbers):
        per_worker = self._strategy.num_replicas_in_sync // self.count

        def on_replica(numbers):
            replica = tf.distribute.get_replica_context()
            first = replica.replica_id_in_sync_group % per_worker == 0
            return replica.all_reduce("SUM", numbers * tf.cast(first, numbers.dtype))

        results = self._strategy.run(on_replica, (numbers,))
        return self._strategy.experimental_local_results(results)[0]

    def share(self, variables):
        """Gives every worker the chief's values of these variables, bit for bit."""

        @tf.function
        def on_all():
            self._strategy.run(on_replica)

        def on_replica():
            replica = tf.distribute.get_replica_context()
            is_first = replica.replica_id_in_sync_group == 0
            # As integers of one kind: adding zeros changes no bit, and all go in one message.
            bits = [tf.bitcast(variable.value, tf.int32) for variable in variables]
            own = [part * tf.cast(is_first, tf.int32) for part in bits]
            for variable, shared in zip(variables, replica.all_reduce("SUM", own), strict=True):
                variable.value.assign(tf.bitcast(shared, variable.value.dtype))

        on_all()


def _spell(value):
    return "nothing" if value is None else printable(str(value))


def _gist(error):
    return printable(first_line(error))
