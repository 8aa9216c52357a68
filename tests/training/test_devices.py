"""What a run may be spread over, what may not be, and what replicas exchange."""

import json
import os

import pytest
import tensorflow as tf

from lsgan_tf.config import Config
from lsgan_tf.gan.model import GAN
from lsgan_tf.networks.normalization import synchronize
from lsgan_tf.training import devices
from lsgan_tf.training.cluster import Alone
from lsgan_tf.utils.errors import UserError
from tests.tiny import TinyDiscriminator, TinyGenerator


def test_replicas_of_each_distribution():
    config = Config(batch_size=12, logical_devices=3)
    assert devices.strategy(config).num_replicas_in_sync == 3
    one = Config(batch_size=12, distribution="one_device")
    strategy, workers = devices.strategy_and_workers(one)
    assert strategy.num_replicas_in_sync == 1
    assert isinstance(workers, Alone)


def test_replicas_of_the_cpu_beside_a_gpu_are_told(monkeypatch):
    listed = tf.config.list_logical_devices()
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: listed)
    with pytest.raises(UserError, match="--logical_devices=2 splits the CPU, .*=-1"):
        devices.local_strategy(2)
    assert devices.local_strategy().num_replicas_in_sync == len(listed)


def test_what_rounds_sums_is_named(monkeypatch):
    default = devices.numerics()
    assert default["threads"] == str(len(os.sched_getaffinity(0)))
    assert default["oneDNN"] == "on" and default["device"]
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert devices.numerics() == {**default, "threads": "7", "oneDNN": "off"}


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
    alone = devices.strategy(Config(batch_size=12, jit_compile=True))
    assert not isinstance(alone, tf.distribute.MirroredStrategy)  # XLA fails in it on a GPU
    config = Config(batch_size=12, logical_devices=2, jit_compile=True)
    with pytest.raises(UserError, match="--jit_compile goes with one replica, and there are 2"):
        devices.strategy(config)


def test_a_tpu_that_is_not_there_is_told():
    with pytest.raises(UserError, match="No process listens at --tpu=grpc://127.0.0.1:1"):
        devices.strategy(Config(distribution="tpu", tpu="grpc://127.0.0.1:1"))


@pytest.mark.parametrize(
    ("settings", "synchronized", "statistics"),
    [
        # Passes of G, then of D on real images, on generated ones, and again on those for G.
        ({}, True, (1 + 1) + (3 + 3)),  # forward + backward
        ({"n_critic": 2, "shared_latents": False}, True, (3 + 1) + (5 + 5)),
        ({"schedule": "simultaneous"}, True, (1 + 1) + (2 + 3)),
        ({}, False, 1 + 1),  # the moving statistics of each network, at the end of the step
    ],
    ids=["alternating", "n_critic", "simultaneous", "not synchronized"],
)
def test_a_step_exchanges_gradients_and_statistics(
    replicas, monkeypatch, settings, synchronized, statistics
):
    """Each list of gradients once, and mean and variance of each pass through a batch norm."""
    sizes = []
    all_reduce = tf.distribute.ReplicaContext.all_reduce

    def counting(self, op, value, *args, **kwargs):
        sizes.append(sum(tensor.shape.num_elements() for tensor in tf.nest.flatten(value)))
        return all_reduce(self, op, value, *args, **kwargs)

    monkeypatch.setattr(tf.distribute.ReplicaContext, "all_reduce", counting)
    strategy = replicas(2)
    with strategy.scope():
        gan = GAN(TinyGenerator(), TinyDiscriminator(), **settings)
        for network in (gan.generator, gan.discriminator):
            synchronize(network, synchronized)
        gan.compile()
    batches = (tf.zeros((2, 8, 8, 1)),) * gan.n_critic

    @tf.function
    def step():
        strategy.run(gan.train_step, batches)

    step.get_concrete_function()  # tracing is enough: each exchange is an operation of the graph
    gradients_of_g = (5 + 1) * 64 + 2 * 4 + (3 * 3 * 4 + 1)
    gradients_of_d = (3 * 3 + 1) * 4 + (3 * 3 * 4 + 1) * 4 + 2 * 4 + (2 * 2 * 4 + 1)
    # Either network has one batch norm of four channels.
    one_replica = [gradients_of_g] + [gradients_of_d] * gan.n_critic + [2 * 4] * statistics
    assert sorted(sizes) == sorted(2 * one_replica)


def test_devices_are_described_for_people(monkeypatch):
    assert devices.describe().startswith(devices.numerics()["device"])
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [1, 2, 3])
    names = {1: {"device_name": "A100"}, 2: {}, 3: {"device_name": "A100"}}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", names.get)
    assert devices.describe() == "2 x A100 and 1 x GPU"
