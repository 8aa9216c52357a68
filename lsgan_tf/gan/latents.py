"""Latents and other noise as a pure function of (seed, step, stream)."""

import dataclasses

import tensorflow as tf

from lsgan_tf.utils.errors import check_known

DISTRIBUTIONS = ("uniform", "normal")
_STREAMS_PER_PENALTY = 8  # set aside for a penalty in one step of D
_PER_COUNT = 4  # float32 numbers that one value of the generator's counter gives


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


def draw_rows(distribution: str, start: int, count: int, latent_dim: int, *, seed, step=0):
    """Rows `start` to `start + count` of what `draw` gives for this (seed, step), bit for bit.

    However many rows `draw` is asked for, the first ones are the same. Here those before `start`
    are not drawn: the counter of the generator is set to where they end.

    Raises:
        ValueError: on an unknown distribution.
    """
    check(distribution)
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=_make_key(seed, step, 0))
    passed, within = divmod(start * latent_dim, _PER_COUNT)
    uniform = distribution == "uniform"
    ops = tf.raw_ops
    numbers = (ops.StatelessRandomUniformV2 if uniform else ops.StatelessRandomNormalV2)(
        shape=[within + count * latent_dim],
        key=key,
        counter=counter + tf.constant([passed, 0], tf.uint64),
        alg=ops.StatelessRandomGetAlg(),
        dtype=tf.float32,
    )
    rows = tf.reshape(numbers[within:], (count, latent_dim))
    return 2.0 * rows - 1.0 if uniform else rows


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


@dataclasses.dataclass(frozen=True)
class Iteration:
    """The random numbers of one iteration of a GAN, on this replica.

    Its streams: the latents of `n_critic` steps of D and of G's; a block for the penalty of each
    step of D; one for each time that D looks at augmented examples.

    Args:
        seed, step: integers or scalar tensors.
        n_critic: steps of D.
    """

    seed: int
    step: tf.Tensor
    n_critic: int

    def draw_latents(self, distribution: str, count, latent_dim, number: int) -> tf.Tensor:
        """The latents [count, latent_dim] of D's step of this number; of G's for `n_critic`."""
        return draw_for_replica(
            distribution, count, latent_dim, seed=self.seed, step=self.step, stream=number
        )

    def uniform_of_penalty(self, number: int, dtype):
        """A function of a shape [count, ...]; each call draws anew from [0, 1), for the penalty in
        D's step of this number. It raises ValueError at the ninth call."""
        first = self._first_of_penalty(number)
        streams = iter(range(first, first + _STREAMS_PER_PENALTY))

        def uniform(shape):
            stream = next(streams, None)
            if stream is None:  # the next ones are of other noise
                raise ValueError(
                    f"A penalty may draw {_STREAMS_PER_PENALTY} times a step; draw more numbers in "
                    "one call, and split them."
                )
            return tf.cast(self._draw_uniform(shape, stream), dtype)

        return uniform

    def draw_for_look(self, shape, look: int) -> tf.Tensor:
        """Numbers in [0, 1) of a shape [count, ...] for D's `look`-th look, counted from 0."""
        return self._draw_uniform(shape, self._first_of_penalty(self.n_critic) + look)

    def _first_of_penalty(self, number):
        return self.n_critic + 1 + number * _STREAMS_PER_PENALTY

    def _draw_uniform(self, shape, stream):
        return draw_uniform_for_replica(shape, seed=self.seed, step=self.step, stream=stream)


def _locate_replica():
    """(number of this replica, how many there are)."""
    context = tf.distribute.get_replica_context()
    return context.replica_id_in_sync_group, context.num_replicas_in_sync


def _make_key(seed, step, stream):
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(step, tf.int64)])
    # As int64, since the type of the number decides how many bits of the key are kept.
    folded = tf.cast(stream, tf.int64)
    return tf.random.experimental.stateless_fold_in(key, folded) if stream else key
