"""TF_CONFIG, what stands in the way of connecting, and the messages about lost workers."""

import json
import signal
import socket
import threading

import pytest
import tensorflow as tf

from lsgan_tf.training import rendezvous
from lsgan_tf.training.cluster import Alone, Cluster
from lsgan_tf.training.rendezvous import Task
from lsgan_tf.utils.errors import UserError

HOSTS = ["one:5000", "two:5000", "three:5000"]


def _set(monkeypatch, workers=None, kind="worker", index=0, chief=None):
    jobs = {"worker": HOSTS if workers is None else workers}
    if chief:
        jobs["chief"] = chief
    config = {"cluster": jobs, "task": {"type": kind, "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))


def test_a_task_knows_its_place(monkeypatch):
    _set(monkeypatch, index=2)
    task = Task.from_environment()
    assert (task.addresses, task.index, task.port) == (tuple(HOSTS), 2, 5000)
    assert task.describe(1) == "worker 1 of 3 (two:5000)"


def test_a_chief_is_worker_0(monkeypatch):
    _set(monkeypatch, chief=["boss:5000"], index=1)
    task = Task.from_environment()
    assert task.addresses == ("boss:5000", *HOSTS)
    assert task.index == 2
    _set(monkeypatch, chief=["boss:5000"], kind="chief")
    assert Task.from_environment().index == 0


def test_without_tf_config_the_message_shows_one(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(UserError, match="(?s)needs TF_CONFIG.*local_workers.sh") as caught:
        Task.from_environment()
    example = str(caught.value).split("'")[1]
    monkeypatch.setenv("TF_CONFIG", example)
    assert Task.from_environment().index == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        ("[]", "'cluster' is missing"),
        ('{"cluster": {"worker": ["a:1"]}}', "'task' is missing"),
        ('{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}', "jobs of type ps"),
        ('{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}', "'worker'"),
        ('{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}', "'a' is not"),
        ('{"cluster": {"worker": [7]}, "task": {"type": "worker", "index": 0}}', "7 is not"),
        ('{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}', "same"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "worker 1;"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "x"}}', "'x'"),
        ('{"cluster": {}, "task": {"type": "worker", "index": 0}}', "its cluster has: none"),
        (
            '{"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}',
            "more than one chief",
        ),
        ("[" * 100_000, "recursion"),
    ],
)
def test_malformed_configurations_are_told(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=message) as caught:
        Task.from_environment()
    assert "should look like" in str(caught.value)


@pytest.fixture
def listening():
    """A socket at which somebody listens, and its address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def _free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_a_taken_port_is_told_before_anybody_waits(monkeypatch, listening):
    _set(monkeypatch, workers=[listening, "two:5000"])
    with pytest.raises(UserError, match=f"cannot listen at port {listening[10:]}: Address already"):
        rendezvous.connect(Task.from_environment(), timeout=1)


def test_no_port_is_told(monkeypatch):
    _set(monkeypatch, workers=["one:99999", "two:5000"])
    with pytest.raises(UserError, match="99999 is no port"):
        rendezvous.connect(Task.from_environment(), timeout=1)


def test_a_timeout_names_the_missing_worker(monkeypatch, listening):
    missing = _free_address()
    _set(monkeypatch, workers=[_free_address(), listening, missing])
    with pytest.raises(
        UserError, match=f"timed out after 1 s waiting for worker 2 of 3 .{missing}"
    ):
        rendezvous.connect(Task.from_environment(), timeout=1)


def test_waiting_can_be_interrupted(monkeypatch):
    _set(monkeypatch, workers=[_free_address(), _free_address()])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # may be ignored
    timer = threading.Timer(0.5, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            rendezvous.connect(Task.from_environment(), timeout=60)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def three(monkeypatch):
    """Worker 0 of three, without the strategy that it needs to exchange anything."""
    _set(monkeypatch, workers=[_free_address() for _ in range(3)])
    return Cluster(None, Task.from_environment())


@pytest.mark.parametrize(
    ("error", "worker", "words"),
    [
        (
            tf.errors.AbortedError(
                None,
                None,
                "Collective ops is aborted by: Error reported from /job:worker/task:2: <<record 7 "
                "of\nx is damaged>>\nThe error ... /job:worker/replica:0/task:1 ... <<other>>",
            ),
            2,
            "Its message: record 7 of\nx is damaged\nAll",
        ),
        (
            tf.errors.UnavailableError(
                None,
                None,
                "Collective ops is aborted by: recvmsg:Connection reset by peer\nAdditional GRPC "
                "error information from remote target /job:worker/replica:0/task:1 while calling",
            ),
            1,
            "Its last output may say why",
        ),
        (
            tf.errors.InternalError(
                None,
                None,
                "Collective ops is aborted by: The following tasks are unhealthy (stopped sending "
                "heartbeats):\n/job:worker/replica:0/task:2\nThe tasks have crashed.",
            ),
            2,
            "go on from the last checkpoint",
        ),
    ],
)
def test_a_lost_worker_is_named_with_its_reason(three, monkeypatch, error, worker, words):
    reported = []
    monkeypatch.setattr(three, "_report", reported.append)
    with pytest.raises(UserError) as caught, three.together():
        raise error
    assert str(caught.value).startswith(f"{three._task.describe(worker)} stopped")
    assert words in str(caught.value)
    assert reported == [str(caught.value)]


def test_without_a_name_those_are_named_that_cannot_be_reached(three, listening, monkeypatch):
    addresses = (three._task.addresses[0], listening, three._task.addresses[2])
    monkeypatch.setattr(three, "_task", Task(addresses, three._task.names, 0))
    monkeypatch.setattr(three, "_report", lambda message: None)
    with pytest.raises(UserError, match="^worker 2 of 3 .* stopped"), three.together():
        raise tf.errors.UnavailableError(None, None, "Socket closed")


def test_a_defect_of_this_worker_is_no_loss_of_another(three, monkeypatch):
    monkeypatch.setattr(three, "_report", lambda message: None)
    with pytest.raises(tf.errors.ResourceExhaustedError), three.together():
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


def test_alone_has_the_interface_of_a_cluster():
    alone = Alone()
    with alone.together():
        alone.agree({"anything": 1})
        alone.share([])
        assert alone.is_chief and alone.count == 1
        assert alone.from_chief(lambda: 3) == 3
        assert alone.any(True) and not alone.any(False)
        assert alone.broadcast(7) == 7
        alone.barrier()
