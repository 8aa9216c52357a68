"""Latent vectors as a pure function of (seed, step)."""

import tensorflow as tf

DISTRIBUTIONS = ("uniform", "normal")


def draw(distribution, count, latent_dim, *, seed, step=0):
    """Draws latents [count, latent_dim], float32, the same ones for the same (seed, step).

    Args:
      distribution: "uniform", on [-1, 1), or "normal", N(0, I).
      count, latent_dim: integers or scalar tensors.
      seed, step: integers or scalar tensors, 64 bits; they key the counter-based generator.

    Raises:
      ValueError: on an unknown distribution.
    """
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(step, tf.int64)])
    if distribution == "uniform":
        return tf.random.stateless_uniform((count, latent_dim), key, minval=-1.0, maxval=1.0)
    if distribution == "normal":
        return tf.random.stateless_normal((count, latent_dim), key)
    raise ValueError(f"Unknown latent distribution {distribution!r}; known: {DISTRIBUTIONS}.")


def draw_for_replica(distribution, count, latent_dim, *, seed, step):
    """This replica's rows [count, latent_dim] of the global batch's latents.

    The global batch's latents depend on (seed, step) alone; replica r takes the r-th slice. So one
    replica or eight train on the same latents, and no two rows are equal, provided that all
    replicas ask for the same `count`.
    """
    context = tf.distribute.get_replica_context()
    replica, replicas = context.replica_id_in_sync_group, context.num_replicas_in_sync
    everyone = draw(distribution, count * replicas, latent_dim, seed=seed, step=step)
    return everyone[replica * count : (replica + 1) * count]
