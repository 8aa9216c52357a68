"""`fit`, `evaluate` and `predict` of a GAN, and their kin, as Keras has them.

Keras 3.15's own `fit` crashes on several replicas with `steps_per_execution` above 1, and on
several workers always (keras#19246, keras#20585). So the functions that it calls are made here.
"""

import functools
import types

import keras
import tensorflow as tf
from keras.src.trainers.data_adapters import array_slicing  # private: see ARCHITECTURE.md

from lsgan_tf.gan import batches, latents
from lsgan_tf.gan.callbacks import check as check_callbacks
from lsgan_tf.gan.stepping import SteppingModel, take_next
from lsgan_tf.networks.base import spread


class FittingModel(SteppingModel):
    """A `SteppingModel` that Keras' methods train and test.

    Subclasses have `sampling_generator`, `discriminator`, `objective` and `seed`.
    """

    TEST_METRICS = ("d_loss", "g_loss", "d_real", "d_fake")

    def call(self, latents, labels=None, training=False):
        """Latents [N, latent_dim] (and labels) -> `sampling_generator`'s examples [N, ...].

        Both may come as one argument, as `predict` takes them: [latents, labels], or a dictionary
        of these names. Labels are what `fit` takes.

        Raises:
            ValueError: if labels are missing, of no class, or not taken by the generator.
        """
        arguments = spread(latents, "latents", labels)
        classes = self.generator.num_classes
        if len(arguments) != (2 if classes else 1):
            raise ValueError(
                f"This GAN is conditioned on {classes} labels: give [latents, labels]."
                if classes
                else "This GAN takes latents alone: its generator was made without num_classes."
            )
        if classes:
            z, labels = arguments
            arguments = z, batches.to_ids(labels, classes)
            if tf.executing_eagerly():
                batches.check_ids(arguments[1], classes)
        return self.sampling_generator(*arguments, training=training)

    def make_predict_function(self, force=False):
        """Makes what `predict` calls: Keras' own, on labels that are checked and [N]."""
        if self.predict_function is None or force:
            super().make_predict_function(force=True)
            predict = self.predict_function
            self.predict_function = lambda data: predict([self._with_ids(batch) for batch in data])
        return self.predict_function

    def _with_ids(self, batch):
        # Before the graph, in which labels of two forms, one after the other, have no rank.
        latents, labels, _ = keras.utils.unpack_x_y_sample_weight(batch)
        parts = spread(latents, "latents", labels)
        classes, strategy = self.generator.num_classes, self.distribute_strategy
        if not classes or len(parts) != 2:
            return batch
        ids = strategy.run(lambda part: batches.to_ids(part, classes), (parts[1],))
        batches.check_ids(tf.concat(strategy.experimental_local_results(ids), 0), classes)
        return ((parts[0], ids),)

    def export(self, *args, **kwargs):
        """`keras.Model.export` of `sampling_generator`: latents (and labels) -> examples."""
        self.sampling_generator.export(*args, **kwargs)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq=1,
    ):
        """`keras.Model.fit`, of images `x` and labels `y`, or of batches of both.

        With `n_critic` above 1 a step takes so many batches, and `steps_per_epoch` counts steps.

        Raises:
            ValueError: if the values of the first batch leave the generator's `value_range`, if
                labels are missing, or if a callback cannot work on a GAN.
        """
        self.check_compiled("fit")
        check_callbacks(callbacks)
        data, held_out = (x, y, sample_weight), validation_data
        if validation_split and held_out is None:
            data, held_out = array_slicing.train_validation_split(data, validation_split)
        data = self._read(
            data,
            self.n_critic,
            batch_size=batch_size,
            steps_per_epoch=steps_per_epoch and steps_per_epoch * self.n_critic,
            shuffle=shuffle and not isinstance(x, tf.data.Dataset | types.GeneratorType),
            class_weight=class_weight,
        )
        if held_out is not None:
            held_out = self._read(
                keras.utils.unpack_x_y_sample_weight(held_out),
                batch_size=validation_batch_size or batch_size,
                steps_per_epoch=validation_steps,
            )
        return super().fit(
            data,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=held_out,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_freq=validation_freq,
        )

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        steps=None,
        callbacks=None,
        return_dict=False,
        **kwargs,
    ):
        """`keras.Model.evaluate`, of what `fit` takes; see `test_step`."""
        check_callbacks(callbacks)
        if not isinstance(x, batches.Batches):  # else it is `fit` that calls
            x = self._read((x, y, sample_weight), batch_size=batch_size, steps_per_epoch=steps)
        return super().evaluate(
            x, verbose=verbose, steps=steps, callbacks=callbacks, return_dict=return_dict, **kwargs
        )

    def _read(self, data, group=1, **options):
        return batches.Batches(data, self.generator, group, **options)

    def make_train_function(self, force=False):
        """Makes what `fit` calls: `steps_per_execution` steps, or what is left of the data."""
        if self.train_function is None or force:
            self._compiled_steps = None
            on_batch = self.make_step()

            def train(data):
                if not isinstance(data, types.GeneratorType):
                    return self._with_loss(self._take_steps(data))
                return self._with_loss(on_batch(*self._divide(next(data), self.n_critic)))

            self.train_function = self._explaining(train)
        return self.train_function

    def _take_steps(self, iterator):
        steps = self.steps_per_execution
        # Reading the step waits for a GPU: only where a call can end between two steps.
        before = int(self.step.numpy()) if steps > 1 else None
        try:
            return self.run_steps(iterator, steps)
        except tf.errors.OutOfRangeError as error:
            if steps > 1 and int(self.step.numpy()) > before:
                return self.get_metrics_result()  # the last steps of an epoch
            raise StopIteration from error  # at which Keras warns

    def make_test_function(self, force=False):
        """Makes what `evaluate` calls: the same, of steps that measure."""
        if self.test_function is None or force:
            on_replicas = functools.partial(self.distribute_strategy.run, self.test_step)
            on_batch = self.in_graph(on_replicas)
            on_next = self.in_graph(lambda iterator: on_replicas((take_next(iterator),)))

            def test(data):
                if isinstance(data, types.GeneratorType):
                    on_batch(self._divide(next(data)))
                else:
                    self._test_steps(data, on_next)
                results = self.get_metrics_result()
                of_training = self._trackers.keys() - set(self.TEST_METRICS)
                return self._with_loss(
                    {name: value for name, value in results.items() if name not in of_training}
                )

            self.test_function = self._explaining(test)
        return self.test_function

    def _test_steps(self, iterator, on_next):
        for number in range(self.steps_per_execution):
            try:
                on_next(iterator)
            except tf.errors.OutOfRangeError as error:
                if number == 0:
                    raise StopIteration from error
                return

    def test_step(self, batch):
        """Measures D's loss, G's loss and D's mean logits on examples that were held out.

        All in inference mode, without penalty and augmentation: batch norm takes its moving
        statistics, and the generated examples are `sampling_generator`'s, so of the average where
        there is one. The latents are the same in every evaluation. The values are means over the
        examples since the metrics' last reset; compare them with an evaluation of training
        examples, not with what `fit` logs.

        Args:
            batch: as one of `train_step`.
        """
        real, condition = batches.split_batch(batch, self.generator.num_classes)
        count, generator = tf.shape(real)[0], self.sampling_generator
        # By the number of examples before, away from training's steps and the samplers' -1 and -2.
        before = tf.cast(self._trackers["d_real"].count.value, tf.int64)
        step = -3 - before * self.distribute_strategy.num_replicas_in_sync
        z = latents.draw_for_replica(
            generator.latent_distribution, count, generator.latent_dim, seed=self.seed, step=step
        )
        fake = generator(z, *condition, training=False)
        real_logits = self.discriminator(real, *condition, training=False)
        fake_logits = self.discriminator(fake, *condition, training=False)
        d_loss = self.objective.discriminator(real_logits, fake_logits)
        g_loss = self.objective.generator(fake_logits)
        means = tf.reduce_mean(real_logits), tf.reduce_mean(fake_logits)
        self._track(dict(zip(self.TEST_METRICS, (d_loss, g_loss, *means), strict=True)), count)

    def _track(self, measured, counts):
        """Adds values to the metrics' means, so many times: not those of an update that was
        skipped, nor of a replica without examples, which may be NaN."""
        for name, value in measured.items():
            weight = tf.cast(counts, tf.float32)
            self._trackers[name].update_state(tf.where(weight > 0, value, 0), weight)

    def _divide(self, batch, parts=1):
        """The batch of `train_on_batch` or `test_on_batch` in so many parts, as a step's batches.

        Raises:
            ValueError: it cannot be divided, or its values leave the generator's range or classes.
        """
        batch = batches.prepare(batch, self.generator)
        examples = batch[0] if isinstance(batch, tuple) else batch
        batches.check(batch, self.generator)
        if len(examples) % parts:
            raise ValueError(f"{len(examples)} images, which {parts} steps of D cannot share.")
        size = len(examples) // parts
        return tuple(
            tf.nest.map_structure(lambda part, n=n: part[n * size : (n + 1) * size], batch)
            for n in range(parts)
        )

    def _with_loss(self, results):
        """Adds what `TerminateOnNaN` looks at: a sum that no other use should be made of."""
        losses = [results[name] for name in ("d_loss", "g_loss", "d_penalty") if name in results]
        return {"loss": sum(losses), **results} if losses else results

    def _explaining(self, function):
        """The function, whose errors name what is wrong with the data."""

        def run(data):
            try:
                return function(data)
            except tf.errors.InvalidArgumentError as error:
                raise batches.explain(error, self.generator) from None

        return run

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Does nothing. Private to Keras: `fit` would call this model on a batch of examples to
        build it, but it takes latents, and its variables exist already."""


def is_there(examples) -> tf.Tensor:
    """Whether this replica has examples: the last batch may be too small for all replicas."""
    return tf.shape(examples)[0] > 0
