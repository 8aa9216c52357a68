"""What a run may be spread over, and what may not be."""

import json

import pytest

from lsgan_tf.config import Config
from lsgan_tf.training import devices
from lsgan_tf.training.cluster import Alone
from lsgan_tf.utils.errors import UserError


def test_replicas_of_each_distribution():
    config = Config(batch_size=12, logical_devices=3)
    assert devices.strategy(config).num_replicas_in_sync == 3
    one = Config(batch_size=12, distribution="one_device")
    strategy, workers = devices.strategy_and_workers(one)
    assert strategy.num_replicas_in_sync == 1
    assert isinstance(workers, Alone)


def test_a_batch_that_does_not_divide_is_told():
    with pytest.raises(UserError, match="--batch_size=10 does not divide by 4 replicas.*of 4"):
        devices.strategy(Config(batch_size=10, logical_devices=4))


def _cluster(monkeypatch, count):
    addresses = [f"host{index}:5000" for index in range(count)]
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))


def test_a_batch_that_does_not_divide_by_the_workers_is_told_before_they_meet(monkeypatch):
    _cluster(monkeypatch, 3)
    config = Config(batch_size=64, distribution="multi_worker")
    with pytest.raises(UserError, match="--batch_size=64 does not divide by 3 workers"):
        devices.strategy_and_workers(config)


def test_workers_that_would_train_apart_are_refused(monkeypatch):
    _cluster(monkeypatch, 2)
    with pytest.raises(UserError, match="names 2 workers.*Add --distribution=multi_worker"):
        devices.strategy(Config())
    _cluster(monkeypatch, 1)
    assert devices.strategy(Config()).num_replicas_in_sync == 1


def test_several_workers_are_for_training():
    with pytest.raises(UserError, match="needs a training run"):
        devices.strategy(Config(distribution="multi_worker"))


def test_xla_is_for_one_replica():
    config = Config(batch_size=12, logical_devices=2, jit_compile=True)
    with pytest.raises(UserError, match="--jit_compile goes with one replica, and there are 2"):
        devices.strategy(config)


def test_a_tpu_that_is_not_there_is_told():
    with pytest.raises(UserError, match="No process listens at --tpu=grpc://127.0.0.1:1"):
        devices.strategy(Config(distribution="tpu", tpu="grpc://127.0.0.1:1"))


def test_logical_devices_are_of_one_process():
    with pytest.raises(UserError, match="--logical_devices above 1 needs"):
        Config(distribution="multi_worker", logical_devices=2)
