"""What replicas exchange, by hand; how often, counted in the step itself."""

import keras
import pytest
import tensorflow as tf

from lsgan_tf.gan.model import GAN
from lsgan_tf.networks.normalization import synchronize
from lsgan_tf.utils.errors import UserError
from tests.tiny import TinyDiscriminator, TinyGenerator
from tools import communication
from tools.communication import Assumptions, Link, Network, Passes

G = Network(1000, (8, 4))
D = Network(300, (6,))


@pytest.mark.parametrize(
    ("settings", "generator", "discriminator"),
    [
        ({}, Passes(1, 1), Passes(3, 3)),  # D: real, generated, generated again for G
        ({"shared_latents": False}, Passes(2, 1), Passes(3, 3)),
        ({"n_critic": 5}, Passes(5, 1), Passes(11, 11)),
        ({"n_critic": 2, "shared_latents": False}, Passes(3, 1), Passes(5, 5)),
        ({"schedule": "simultaneous"}, Passes(1, 1), Passes(2, 3)),
    ],
)
def test_passes(settings, generator, discriminator):
    assert communication.passes(**settings) == (generator, discriminator)


def test_gradients_are_float32():
    assert communication.gradients(G, D) == [1200, 4000]
    assert communication.gradients(G, D, n_critic=3) == [1200, 1200, 1200, 4000]


def test_statistics_are_two_numbers_a_channel_there_and_back():
    assert communication.statistics(D, Passes(3, 3)) == [48] * 6
    assert communication.statistics(G, Passes(2, 1)) == [64, 32] * 3
    assert communication.statistics(Network(9, ()), Passes(3, 3)) == []


def test_statistics_of_each_replica_are_averaged_once():
    assert communication.statistics(G, Passes(5, 1), synchronized=False) == [96]
    assert communication.statistics(Network(9, ()), Passes(3, 3), synchronized=False) == []


def test_the_time_of_a_ring():
    # 2 x 3/4 x 80 bytes at 10 bytes/s are 12 s; six hops of 0.5 s are 3 s.
    assert communication.ring(80, 4, Link(10, 0.5)) == pytest.approx(15)
    assert communication.ring(80, 1, Link(10, 0.5)) == 0


def test_the_time_of_two_rings():
    # Within: 2 x 1/2 x 80 / 40 + 2 x 0.25 = 2.5 s; between, as above.
    assert communication.two_rings(80, 2, Link(40, 0.25), 4, Link(10, 0.5)) == pytest.approx(17.5)


def test_a_network_is_described():
    assert communication.describe(TinyDiscriminator()) == Network(
        (3 * 3 * 1 + 1) * 4 + (3 * 3 * 4 + 1) * 4 + 2 * 4 + 2 * 2 * 4 + 1, (4,)
    )
    first = (5 + 1) * 64  # latents to 4x4x4, normalised by channel
    assert communication.describe(TinyGenerator()) == Network(first + 2 * 4 + 3 * 3 * 4 + 1, (4,))


@pytest.mark.parametrize(
    "settings",
    [
        {"n_critic": 2, "shared_latents": False},
        {"schedule": "simultaneous"},
        {"synchronized": False},
    ],
    ids=["alternating", "simultaneous", "unsynchronized"],
)
def test_the_step_exchanges_as_often(settings, replicas, monkeypatch):
    settings = dict(settings)
    synchronized = settings.pop("synchronized", True)
    sizes = []
    original = tf.distribute.ReplicaContext.all_reduce

    def counting(self, op, value, *args, **kwargs):
        sizes.append(sum(4 * each.shape.num_elements() for each in tf.nest.flatten(value)))
        return original(self, op, value, *args, **kwargs)

    monkeypatch.setattr(tf.distribute.ReplicaContext, "all_reduce", counting)
    keras.utils.set_random_seed(0)
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
    g, d = communication.describe(gan.generator), communication.describe(gan.discriminator)
    of_g, of_d = communication.passes(**settings)
    expected = [
        *communication.gradients(g, d, gan.n_critic),
        *communication.statistics(g, of_g, synchronized),
        *communication.statistics(d, of_d, synchronized),
    ]
    assert sorted(sizes) == sorted(2 * expected)  # of two replicas


def test_the_table():
    assumed = Assumptions(step_seconds=0.01)
    *told, head, mixture = communication.report(communication.configs(["mixture"]), assumed)
    assert told[1] == "  8 GPUs a machine, 300 GB/s, 5 us a hop"
    assert told[2] == "  8 machines, 100 Gbit/s each, 20 us a hop"
    assert told[-1] == "  a step of 0.01 s, as --step_seconds says."
    assert head.split()[0] == "recipe"
    # (49,666 + 17,025) x 4 bytes: 2 x 7/8 x 0.266764 MB / 300 GB/s + 2 x 14 x 5 us = 0.1416 ms, and
    # at 12.5 GB/s 0.0373 ms more + 2 x 14 x 20 us = 0.7389 ms.
    assert mixture.split() == [
        *("mixture", "49,666", "17,025", "0.27", "MB", "0.000", "MB", "2", "+", "0"),
        *("0.14", "ms", "(1.4", "%)", "0.74", "ms", "(7.4", "%)"),
    ]


@pytest.mark.parametrize(("name", "measured"), [("mixture", False), ("digits_shift", True)])
def test_without_a_step_it_is_that_of_two_cores(name, measured):
    *told, _, row = communication.report(communication.configs([name]), Assumptions())
    assert told[-1].startswith("  a step of the whole batch on two cores of a processor")
    assert ("not measured" not in row) == measured


def test_an_unknown_recipe_is_told():
    with pytest.raises(UserError, match="there is no flags/nix.flags. Known: cats, "):
        communication.configs(["digits_shift", "nix"])
