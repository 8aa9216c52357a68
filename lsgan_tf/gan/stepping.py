"""Many steps of a Keras model in one call of one graph, on any number of replicas."""

import functools

import keras
import tensorflow as tf

from lsgan_tf.gan.batches import group, split_batch


class SteppingModel(keras.Model):
    """A model whose `train_step` takes `n_critic` batches.

    Subclasses have `n_critic`, `step` (an int64 variable, the steps done),
    `generator.num_classes` and the two optimizers, and build their variables in the constructor.
    """

    _own_step = None  # the `train_step` that logs the metrics alone
    _compiled_steps = None

    def compile(self, **kwargs):
        """`keras.Model.compile`, but that XLA is off unless `jit_compile=True`."""
        kwargs.setdefault("jit_compile", False)
        strategy = self.distribute_strategy
        mirrored = isinstance(strategy, tf.distribute.MirroredStrategy)
        if kwargs["jit_compile"] and (mirrored or strategy.num_replicas_in_sync > 1):
            raise ValueError(
                "XLA cannot compile a step that replicas take together. On one device take "
                "tf.distribute.OneDeviceStrategy, or none, in place of MirroredStrategy."
            )
        super().compile(**kwargs)
        self._compiled_steps = None  # a graph of former optimizers would go on training with them

    def get_compile_config(self):
        if not self.compiled:
            return None
        serialize = keras.saving.serialize_keras_object
        return {
            "generator_optimizer": serialize(self.generator_optimizer),
            "discriminator_optimizer": serialize(self.discriminator_optimizer),
            "steps_per_execution": self.steps_per_execution,
            "jit_compile": self.jit_compile,
        }

    def compile_from_config(self, config):
        self.compile(**{k: keras.saving.deserialize_keras_object(v) for k, v in config.items()})

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
            and all examples. Without `measured` the step that is reached, as "step". Where a
            subclass has its own `train_step`, what that of the last step returned, a mean over
            the replicas.

        Raises:
            ValueError: if the model is not compiled, or if the batches lack labels it needs.
            tf.errors.OutOfRangeError: if the data end before.
        """
        self.check_compiled("run_steps")
        if self._compiled_steps is None:
            # Here, since an error inside the graph comes with TensorFlow's own lines around it.
            for batch in self._list_batches(iterator.element_spec):
                split_batch(batch, self.generator.num_classes)
            if self._is_eager or self._logs_itself:
                run = functools.partial(self._run_singly, self.make_step())
                self._compiled_steps = run
            else:  # Without AutoGraph, which takes a second to convert what the step calls.
                self._compiled_steps = tf.function(self._loop, autograph=False)
        return self._compiled_steps(iterator, tf.constant(steps, tf.int32), measured)

    @property
    def _is_eager(self):
        return self.run_eagerly or tf.config.functions_run_eagerly()

    @property
    def _logs_itself(self):
        return type(self).train_step is not type(self)._own_step

    def in_graph(self, function):
        """The function as a graph, unless the model runs eagerly."""
        if self._is_eager:
            return function
        return tf.function(function, autograph=False, reduce_retracing=True)

    def make_step(self):
        """A function of a step's batches that takes it on all replicas and returns its logs."""

        def run(*batches):
            returned = self.distribute_strategy.run(self.train_step, batches)
            if not self._logs_itself:
                return self.get_metrics_result()
            mean = functools.partial(self.distribute_strategy.reduce, "MEAN", axis=None)
            return {name: mean(value) for name, value in returned.items()}

        return self.in_graph(run)

    def _run_singly(self, run, iterator, steps, measured):
        """As `_loop`, a step at a time: a debugger can enter it, and its own results are logged."""
        for number in range(int(steps)):
            try:
                batches = self._list_batches(take_next(iterator))
            except tf.errors.OutOfRangeError:
                if number == 0:
                    raise
                break  # the last steps of an epoch
            results = run(*batches)
        return results if measured else {"step": self.step.value}

    def _loop(self, iterator, steps, measured):
        step = self.train_step
        if self.jit_compile:
            step = tf.function(step, jit_compile=True, autograph=False)

        def take(done):
            self.distribute_strategy.run(step, self._list_batches(next(iterator)))
            return done + 1

        tf.while_loop(lambda done: done < steps, take, [tf.constant(0)])
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
        return group(dataset, self.n_critic)


def take_next(iterator):
    """The next element, with one error at the end of the data, in a graph or not."""
    try:
        return next(iterator)
    except StopIteration:
        raise tf.errors.OutOfRangeError(None, None, "the end of the data") from None


def check_losses(*networks: keras.Model) -> None:
    """ValueError if layers add losses of their own, which no objective here takes."""
    for network in networks:
        if network.losses:
            raise ValueError(
                f"Layers of {network.name} add losses of their own (regularizers, add_loss), which "
                "take no part in a GAN's objective. Take them out; the optimizers have "
                "weight_decay, and GAN a penalty."
            )
