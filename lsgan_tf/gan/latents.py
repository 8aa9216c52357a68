"""Latents and other noise as a pure function of (seed, step, stream)."""

import tensorflow as tf

from lsgan_tf.utils.errors import check_known

DISTRIBUTIONS = ("uniform", "normal")


def draw(distribution: str, count, latent_dim, *, seed, step=0, stream: int = 0) -> tf.Tensor:
    """Draws latents [count, latent_dim], float32, the same ones for the same (seed, step, stream).

    Args:
        distribution: "uniform", on [-1, 1), or "normal", N(0, I).
        count, latent_dim: integers or scalar tensors.
        seed, step: integers or scalar tensors, 64 bits; they key the counter-based generator.
        stream: integer, 0 or more: which of several independent draws of one step.

    Raises:
        ValueError: on an unknown distribution.
    """
    check(distribution)
    key = _make_key(seed, step, stream)
    if distribution == "uniform":
        return tf.random.stateless_uniform((count, latent_dim), key, minval=-1.0, maxval=1.0)
    return tf.random.stateless_normal((count, latent_dim), key)


def check(distribution: str) -> None:
    """ValueError unless `distribution` is known."""
    check_known(distribution, DISTRIBUTIONS, "latent distribution")


def draw_for_replica(
    distribution: str, count, latent_dim, *, seed, step, stream: int = 0
) -> tf.Tensor:
    """Draws this replica's rows [count, latent_dim] of the global batch's latents.

    The global batch's latents depend on (seed, step, stream) alone; replica r takes the r-th slice.
    So one replica or eight train on the same latents, and no two rows are equal, provided that all
    replicas ask for the same `count`.
    """
    replica, replicas = _locate_replica()
    batch = draw(distribution, count * replicas, latent_dim, seed=seed, step=step, stream=stream)
    return batch[replica * count : (replica + 1) * count]


def draw_uniform_for_replica(shape, *, seed, step, stream: int) -> tf.Tensor:
    """Draws this replica's rows [count, ...] of the global batch's numbers in [0, 1).

    `shape` is (count, ...).
    """
    replica, replicas = _locate_replica()
    count, *rest = shape
    key = _make_key(seed, step, stream)
    batch = tf.random.stateless_uniform((count * replicas, *rest), key)
    return batch[replica * count : (replica + 1) * count]


def _locate_replica():
    """(number of this replica, how many there are)."""
    context = tf.distribute.get_replica_context()
    return context.replica_id_in_sync_group, context.num_replicas_in_sync


def _make_key(seed, step, stream):
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(step, tf.int64)])
    # As int64, since the type of the number decides how many bits of the key are kept.
    folded = tf.cast(stream, tf.int64)
    return tf.random.experimental.stateless_fold_in(key, folded) if stream else key
