"""How the workers of a run find each other: TF_CONFIG, and the wait until all are there."""

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
from tensorflow.python.eager.context import context  # the service has no public interface

from lsgan_tf.utils.errors import UserError, first_line, printable

HEARTBEAT_TIMEOUT = 30  # seconds without a sign of life after which a worker counts as lost
SHUTDOWN_TIMEOUT = 3  # seconds for the others to read why a worker stops
_PROBE_TIMEOUT = 2  # seconds to reach a worker's port
_PROBE_INTERVAL = 0.3  # seconds
_BACKLOG = 1024  # probes at this worker's port, which nobody accepts
_EXAMPLE = (
    '{"cluster": {"worker": ["host0:5000", "host1:5000"]}, "task": {"type": "worker", "index": 0}}'  # noqa: E501
)


@dataclasses.dataclass(frozen=True)
class Task:
    """One worker's place in the cluster, from TF_CONFIG.

    Attributes:
        addresses: host:port of every worker, the chief's first.
        names: what TF_CONFIG calls each worker, such as ("worker", 0).
        index: which of them this process is.
    """

    addresses: tuple[str, ...]
    names: tuple[tuple[str, int], ...]
    index: int

    @classmethod
    def from_environment(cls) -> "Task":
        """Reads TF_CONFIG.

        Raises:
            UserError: it is missing or malformed.
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
        name = (_entry(task, "type", str), int(_entry(task, "index", int | str)))
        if name not in names:
            known = ", ".join(f"{kind} {number}" for kind, number in names) or "none"
            raise ValueError(f"its task is {name[0]} {name[1]}; its cluster has: {known}")
        return cls(addresses, names, names.index(name))

    @property
    def port(self) -> int:
        """The port of this worker."""
        return int(self.addresses[self.index].rpartition(":")[2])

    def describe(self, index: int) -> str:
        """A worker's number and address, for messages."""
        return f"worker {index} of {len(self.addresses)} ({self.addresses[index]})"


def _entry(stored, name, kind):
    if not isinstance(stored, dict) or not isinstance(stored.get(name), kind):
        raise ValueError(f"{name!r} is missing or of the wrong type")
    return stored[name]


def connect(task: Task, timeout: int) -> tf.distribute.Strategy:
    """Waits for all workers and returns the strategy of their replicas.

    Call it before TensorFlow has done anything in this process.

    Args:
        task: this worker's `Task`.
        timeout: seconds to wait.

    Raises:
        UserError: this worker's port is taken, others are missing when the time is over, or the
            cluster cannot be joined.
    """
    # Not left to TensorFlow: its wait cannot be interrupted and does not always end.
    _wait_for_all(task, timeout)
    kinds = [kind for kind, _ in task.names]
    context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:{}/task:{}".format(*task.names[0]),
        coordinated_jobs=[
            CoordinatedJob(name=kind, num_tasks=kinds.count(kind)) for kind in sorted(set(kinds))
        ],
        cluster_register_timeout_in_ms=HEARTBEAT_TIMEOUT * 1000,
        heartbeat_timeout_in_ms=HEARTBEAT_TIMEOUT * 1000,
        shutdown_barrier_timeout_in_ms=SHUTDOWN_TIMEOUT * 1000,
    )
    # A worker may die just now. Python does not run until TensorFlow returns.
    faulthandler.dump_traceback_later(3 * HEARTBEAT_TIMEOUT, exit=True, file=sys.__stderr__)
    try:
        with _signals_kept():
            return tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise UserError(
            f"{task.describe(task.index)} could not join the cluster: "
            f"{printable(first_line(error))}. If a worker was still ending from an earlier start, "
            "start all of them again. All must have the same cluster in TF_CONFIG."
        ) from error
    finally:
        faulthandler.cancel_dump_traceback_later()


def _wait_for_all(task, timeout):
    """Listens at this worker's port until every other worker's port answers."""
    deadline = time.monotonic() + timeout
    missing = [i for i in range(len(task.addresses)) if i != task.index]
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(_listening(task.port))
        except OverflowError as error:
            raise UserError(f"TF_CONFIG is malformed: {task.port} is no port.") from error
        except OSError as error:
            raise UserError(
                f"{task.describe(task.index)} cannot listen at port {task.port}: {error.strerror}. "
                "If no other worker uses it, take another port in the TF_CONFIG of all workers."
            ) from error
        while missing := _missing_of(task, missing):
            if time.monotonic() > deadline:
                names = " and ".join(map(task.describe, missing))
                raise UserError(
                    f"{task.describe(task.index)} timed out after {timeout} s waiting for {names}. "
                    "Start what is missing, look at what it prints, or wait longer with "
                    "--worker_timeout."
                )
            time.sleep(_PROBE_INTERVAL)
        # Time for the others to see this port; later TensorFlow answers at it.
        time.sleep(2 * _PROBE_INTERVAL)


def _listening(port):
    """A socket that listens at a port, by IPv6 too where there is any."""
    if socket.has_dualstack_ipv6():
        family = socket.AF_INET6
        return socket.create_server(
            ("", port), family=family, backlog=_BACKLOG, dualstack_ipv6=True
        )
    return socket.create_server(("", port), backlog=_BACKLOG)


def _missing_of(task, workers):
    """Those of the workers whose ports do not answer; probes all at once."""
    if not workers:
        return []
    with futures.ThreadPoolExecutor(len(workers)) as pool:
        answers = pool.map(is_reachable, [task.addresses[i] for i in workers])
        return [i for i, answer in zip(workers, answers, strict=True) if not answer]


@contextlib.contextmanager
def _signals_kept():
    """Takes the signals back from TensorFlow, which handles SIGTERM from its start on."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def is_reachable(address: str) -> bool:
    """Whether a process listens at host:port."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PROBE_TIMEOUT).close()
    except (OSError, ValueError, OverflowError):
        return False
    return True
