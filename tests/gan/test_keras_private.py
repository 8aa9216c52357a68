"""What the training step uses of Keras that is private to it: if Keras changes it, this fails."""

import keras
import pytest
import tensorflow as tf
from keras import layers

from lsgan_tf.gan.model import GAN
from lsgan_tf.gan.optimizers import Adam
from lsgan_tf.gan.penalties import NotPenalisable, check_penalised
from tests.tiny import TinyDiscriminator, TinyGenerator


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (keras.Model, "_flatten_layers"),
        (keras.Model, "_maybe_symbolic_build"),
        (keras.optimizers.Optimizer, "_all_reduce_sum_gradients"),
        (keras.optimizers.Optimizer, "_get_variable_index"),
    ],
)
def test_keras_still_has_it(owner, name):
    assert callable(getattr(owner, name))


def test_batch_norm_inside_a_custom_layer_is_found():
    """Which is what `Model.layers` does not do."""

    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.norm = layers.BatchNormalization()

    network = keras.Sequential([Block()])
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in network.layers)
    with pytest.raises(NotPenalisable):
        check_penalised(network)


def test_fit_asks_before_it_builds_and_does_not_call_the_model(replicas, monkeypatch):
    """Under a strategy Keras would call a GAN, which takes latents, on a batch of examples."""
    with replicas(2).scope():
        gan = GAN(TinyGenerator(), TinyDiscriminator())
        gan.compile()
    asked = []
    monkeypatch.setattr(gan, "_maybe_symbolic_build", lambda **kwargs: asked.append(kwargs))
    monkeypatch.setattr(gan, "call", None)
    gan.fit(tf.data.Dataset.from_tensors(tf.zeros((4, 8, 8, 1))), verbose=0)
    assert asked


def test_apply_sums_by_the_method_that_is_overridden(replicas):
    strategy = replicas(2)
    with strategy.scope():
        variable = keras.Variable([1.0])
        optimizer = Adam(0.1)
        optimizer.build([variable])
    summed = []
    optimizer._all_reduce_sum_gradients = lambda pairs: summed.append(pairs) or pairs
    strategy.run(lambda: optimizer.apply([tf.ones(1)], [variable]))
    assert summed
