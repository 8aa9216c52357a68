"""Many steps of a Keras model in one call of one graph, on any number of replicas; `fit` by it.

Keras 3.15's own `fit` crashes on several replicas with `steps_per_execution` above 1, and on
several workers always (keras#19246, keras#20585).
"""

import keras
import tensorflow as tf


class SteppingModel(keras.Model):
    """A model whose `train_step` takes `n_critic` batches.

    Subclasses have `n_critic`, `step` (an int64 variable, the steps done) and
    `generator.num_classes`, and build their variables in the constructor.
    """

    _compiled_steps = None

    def compile(self, **kwargs):
        """`keras.Model.compile`, but that XLA is off unless `jit_compile=True`."""
        kwargs.setdefault("jit_compile", False)
        if kwargs["jit_compile"] and self.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError("XLA cannot compile a step that several replicas take together.")
        super().compile(**kwargs)
        self._compiled_steps = None  # a graph of former optimizers would go on training with them

    def check_compiled(self, what: str) -> None:
        """ValueError unless the model is compiled. `what`: what needs it."""
        if not self.compiled:
            raise ValueError(f"Call compile() before {what}: there is no optimizer yet.")

    def run_steps(self, iterator, steps: int, *, measured: bool = True) -> dict[str, tf.Tensor]:
        """Runs `steps` iterations in one call of one graph, whatever the number.

        Args:
            iterator: of batches, made from a (distributed) `tf.data.Dataset`; with `n_critic`
                above 1 of groups of so many batches, see `grouped`.
            steps: at least 1.
            measured: whether to return the metrics, which several workers must exchange first.

        Returns:
            The metrics since their last reset, scalars by name: means over all steps, all replicas
            and all examples. Without `measured` the step that is reached, as "step".

        Raises:
            ValueError: if the model is not compiled, or if the batches lack labels it needs.
            tf.errors.OutOfRangeError: if the data end before.
        """
        self.check_compiled("run_steps")
        if self._compiled_steps is None:
            # Here, since an error inside the graph comes with TensorFlow's own lines around it.
            for batch in self._list_batches(iterator.element_spec):
                split_batch(batch, self.generator.num_classes)
            self._compiled_steps = tf.function(self._loop)
        return self._compiled_steps(iterator, tf.constant(steps, tf.int32), measured)

    def _loop(self, iterator, steps, measured):
        step = (
            tf.function(self.train_step, jit_compile=True) if self.jit_compile else self.train_step
        )
        for _ in tf.range(steps):
            self.distribute_strategy.run(step, self._list_batches(next(iterator)))
        if not measured:
            return {"step": self.step.value}  # to wait for
        return self.get_metrics_result()

    def _list_batches(self, element):
        """The batches of one step, from an element of what `grouped` returns."""
        return element if self.n_critic > 1 else (element,)

    def grouped(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Makes what `run_steps` takes from a data set of batches.

        Returns:
            With `n_critic` above 1, tuples of so many batches that follow one another, since an
            iteration takes so many; else the data set as it is.
        """
        if self.n_critic == 1:
            return dataset
        groups = dataset.batch(self.n_critic, drop_remainder=True)
        return groups.map(
            lambda *parts: tuple(
                tf.nest.map_structure(lambda part, n=n: part[n], _join(parts))
                for n in range(self.n_critic)
            )
        )

    def fit(self, x=None, *args, **kwargs):
        """`keras.Model.fit`. With `n_critic` above 1 `x` is a `tf.data.Dataset`, of whose batches
        each step takes so many."""
        if self.n_critic > 1:
            if not isinstance(x, tf.data.Dataset):
                raise ValueError(
                    f"With n_critic={self.n_critic}, fit takes a tf.data.Dataset of batches, not "
                    f"{type(x).__name__}."
                )
            x = self.grouped(x)
        return super().fit(x, *args, **kwargs)

    def make_train_function(self, force=False):
        """Makes what `fit` calls: `steps_per_execution` steps, or what is left of the data."""
        if self.train_function is None or force:
            self._compiled_steps = None

            def run_execution(iterator):
                steps = self.steps_per_execution
                # Reading the step waits for a GPU: only where a call can end between two steps.
                before = int(self.step.numpy()) if steps > 1 else None
                try:
                    return self.run_steps(iterator, steps)
                except tf.errors.OutOfRangeError as error:
                    if steps > 1 and int(self.step.numpy()) > before:
                        return self.get_metrics_result()  # the last steps of an epoch
                    raise StopIteration from error  # at which Keras warns

            self.train_function = run_execution
        return self.train_function

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Does nothing. Private to Keras: `fit` would call this model on a batch of examples to
        build it, but it takes latents, and its variables exist already."""


def _join(parts):
    """What a data set's `map` spreads over arguments, as one: examples, or (examples, labels)."""
    return parts if len(parts) > 1 else parts[0]


def split_batch(batch, num_classes: int) -> tuple:
    """Splits a batch into the examples and what the networks take beside them.

    Args:
        batch: examples [N, ...] or (examples, labels [N]).
        num_classes: number of labels the networks are conditioned on, or 0.

    Returns:
        (examples, (labels,)), or (examples, ()) for networks without labels.

    Raises:
        ValueError: if labels are missing, or if the batch is of more parts than two.
    """
    parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
    if len(parts) > 2:
        raise ValueError(
            f"A batch of {len(parts)} parts; give the images alone or (images, labels)."
        )
    if num_classes == 0:
        return parts[0], ()
    if len(parts) < 2 or parts[1] is None:
        raise ValueError(
            f"This GAN is conditioned on {num_classes} labels, and the batches have none: give "
            f"(images, labels), the labels integers [N] below {num_classes}."
        )
    return parts[0], (parts[1],)
