"""D looks at real and generated images in one call: logits, gradients and statistics as in two."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf import networks
from lsgan_tf.networks.own import ModelDiscriminator
from tests.tiny import TinyDiscriminator

SHAPE = (16, 16, 3)


def _judge(strategy, classes, apart):
    """Logits of both, D's variables and gradients of one global batch."""
    keras.utils.set_random_seed(3)
    with strategy.scope():
        discriminator = networks.build("dcgan", SHAPE, classes, base_channels=4)[1]
    rng = np.random.default_rng(0)
    real, fake = rng.normal(1.0, 2.0, (2, 8, *SHAPE)).astype(keras.config.floatx())
    labels = rng.integers(0, classes, 8) if classes else None
    share = 8 // strategy.num_replicas_in_sync

    def step():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        own = [
            part[replica * share : (replica + 1) * share] for part in map(tf.constant, (real, fake))
        ]
        condition = (
            [tf.constant(labels)[replica * share : (replica + 1) * share]] if classes else []
        )
        with tf.GradientTape() as tape:
            logits = discriminator.judge(*own, *condition, apart=apart)
            # Both count, each in its own way.
            loss = tf.reduce_sum(logits[0] ** 2) + 3.0 * tf.reduce_sum(logits[1])
        gradients = tape.gradient(loss, discriminator.trainable_variables)
        return [*logits, *map(tf.convert_to_tensor, gradients)]  # those of a table are sparse

    logits_and_gradients = strategy.run(tf.function(step))
    real_logits, fake_logits, *gradients = map(
        strategy.experimental_local_results, logits_and_gradients
    )
    return [
        np.concatenate(real_logits),
        np.concatenate(fake_logits),
        *(np.sum(parts, axis=0) for parts in gradients),
        *(variable.numpy() for variable in discriminator.variables),
    ]


@pytest.mark.parametrize(("classes", "count"), [(0, 1), (3, 2)])
def test_one_call_gives_what_two_give(classes, count, replicas, float64):
    together = _judge(replicas(count), classes, apart=False)
    apart = _judge(replicas(1), classes, apart=True)
    for got, expected in zip(together, apart, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11)


class Mixing(keras.layers.Layer):
    """Compares each image with all of the batch, as minibatch discrimination does."""

    def call(self, images):
        return images - keras.ops.mean(images, axis=0, keepdims=True)


@pytest.mark.parametrize(
    "discriminator",
    [
        lambda: ModelDiscriminator(
            keras.Sequential(
                [keras.Input((4, 4, 1)), Mixing(), keras.layers.Flatten(), keras.layers.Dense(1)]
            )
        ),
        TinyDiscriminator,  # a subclass from elsewhere
    ],
)
def test_own_networks_are_called_twice(discriminator):
    discriminator = discriminator()
    real, fake = np.random.default_rng(1).normal(size=(2, 6, *discriminator.image_shape))
    for got, images in zip(discriminator.judge(real, fake), (real, fake), strict=True):
        np.testing.assert_array_equal(got, discriminator(images, training=True))
