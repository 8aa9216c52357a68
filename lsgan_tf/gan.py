"""The least-squares GAN as one Keras model. It knows no file, no flag and no data set."""

import keras
import tensorflow as tf

from lsgan_tf import latents
from lsgan_tf.objectives import LeastSquares
from lsgan_tf.optimizers import Adam, TakesSummedGradients


@keras.saving.register_keras_serializable("lsgan_tf")
class GAN(keras.Model):
    """A generator and a discriminator that train each other.

    ```
    gan = GAN(DCGANGenerator((32, 32, 3)), DCGANDiscriminator((32, 32, 3)))
    gan.compile(Adam(2e-4), Adam(2e-4))
    gan.fit(dataset, epochs=20)          # batches of images, or of (images, labels)
    images = gan.predict(latents)
    ```

    One iteration is the authors': draw z, one step of D on real images and G(z), one step of G
    through the updated D with the same z. G runs forward once: its weights do not change during
    D's step, so its images serve both.

    Under a `tf.distribute` strategy make and compile the model inside `strategy.scope()`. Losses
    are means over the global batch, so the number of replicas changes nothing but the speed. All
    batches must be of one size that divides by the replicas (`drop_remainder=True`).

    Args:
      generator: a `networks.base.Generator`.
      discriminator: a `networks.base.Discriminator` of the same image shape and labels.
      objective: an `objectives.Objective`.
      ema_decay: decay of an average of G's weights and moving statistics, kept beside G, in
        [0, 1); 0 keeps none. It grows towards this value as (1 + step) / (10 + step), so that an
        early average is one of what was learned so far, not of the initial weights.
      seed: of the latents, which are a function of (seed, step).

    Attributes:
      step: int64 variable, iterations done.
      generator_ema: the averaged generator, or None.

    Raises:
      ValueError: if the two networks do not fit each other.
    """

    def __init__(self, generator, discriminator, objective=None, ema_decay=0.0, seed=0, name="gan"):
        super().__init__(name=name)
        for trait in ("image_shape", "num_classes"):
            of_g, of_d = getattr(generator, trait), getattr(discriminator, trait)
            if of_g != of_d:
                raise ValueError(
                    f"The generator's {trait} is {of_g}, the discriminator's is {of_d}."
                )
        if not 0.0 <= ema_decay < 1.0:
            raise ValueError(f"ema_decay is {ema_decay}; it must lie in [0, 1).")
        self.generator = generator
        self.discriminator = discriminator
        self.objective = objective or LeastSquares()
        self.ema_decay = ema_decay
        self.seed = seed
        self.generator_ema = _copy(generator) if ema_decay else None
        self.step = self.add_weight(
            name="step", shape=(), dtype="int64", initializer="zeros", trainable=False
        )
        self._trackers = {name: keras.metrics.Mean(name) for name in METRICS}
        self.built = True

    @property
    def sampling_generator(self):
        """The generator to draw pictures with: the average where there is one."""
        return self.generator_ema or self.generator

    def call(self, latents, labels=None, training=False):
        """Latents (and labels) -> images, with the `sampling_generator`."""
        arguments = (latents,) if labels is None else (latents, labels)
        return self.sampling_generator(*arguments, training=training)

    def compile(self, generator_optimizer=None, discriminator_optimizer=None, **kwargs):
        """Sets the two optimizers, which must be two objects, `Adam()` by default.

        Other arguments go to `keras.Model.compile`, for example `steps_per_execution`. XLA is
        off unless `jit_compile=True`.
        """
        kwargs.setdefault("jit_compile", False)
        with self.distribute_strategy.scope():
            super().compile(optimizer=None, **kwargs)
            self.generator_optimizer = generator_optimizer or Adam()
            self.discriminator_optimizer = discriminator_optimizer or Adam()
            if self.generator_optimizer is self.discriminator_optimizer:
                raise ValueError("The generator and the discriminator need an optimizer each.")
            # Slots that are made lazily inside a replica crash, or miss from a checkpoint.
            self.generator_optimizer.build(self.generator.trainable_variables)
            self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self._compiled_steps = None  # a graph of former optimizers would go on training with them

    @property
    def metrics(self):
        return list(self._trackers.values())

    def train_step(self, data):
        """One iteration on `images` [N, H, W, C] or `(images, labels)`; N is per replica."""
        # Nothing may move before the batch is there: without one there is no step to count.
        with tf.control_dependencies(tf.nest.flatten(data)):
            return self._iterate(data)

    def _iterate(self, data):
        images, labels = data if isinstance(data, (tuple, list)) else (data, None)
        condition = () if self.generator.num_classes == 0 else (labels,)
        z = latents.draw_for_replica(
            self.generator.latent_distribution,
            tf.shape(images)[0],
            self.generator.latent_dim,
            seed=self.seed,
            step=self.step.value,
        )
        with tf.GradientTape() as generator_tape:
            fakes = self.generator(z, *condition, training=True)

        d_results = self._discriminator_step(images, fakes, condition)
        g_results = self._generator_step(generator_tape, fakes, condition)
        if self.generator_ema is not None:
            done = tf.cast(self.step.value, tf.float32)
            decay = tf.minimum(self.ema_decay, (1.0 + done) / (10.0 + done))
            _move_towards(self.generator_ema, self.generator, decay)
        self.step.assign_add(1)

        for name, value in {**d_results, **g_results}.items():
            self._trackers[name].update_state(value)
        return {tracker.name: tracker.result() for tracker in self.metrics}

    def _discriminator_step(self, images, fakes, condition):
        variables = self.discriminator.trainable_variables
        with tf.GradientTape() as tape:
            # Two passes: with batch norm, real and generated images keep statistics of their own.
            real = self.discriminator(images, *condition, training=True)
            fake = self.discriminator(fakes, *condition, training=True)
            loss = self.objective.discriminator(real, fake)
            share = loss / self.distribute_strategy.num_replicas_in_sync
        gradients = _dense(tape.gradient(share, variables))
        norm = _apply(self.discriminator_optimizer, gradients, variables)
        return {
            "d_loss": loss,
            "d_real": tf.reduce_mean(real),
            "d_fake": tf.reduce_mean(fake),
            "d_gradient_norm": norm,
        }

    def _generator_step(self, generator_tape, fakes, condition):
        """Takes dL/dG(z) through the updated D, then hands it to the tape of G's only pass."""
        variables = self.generator.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fakes)
            fake = self.discriminator(fakes, *condition, training=True)
            loss = self.objective.generator(fake)
            share = loss / self.distribute_strategy.num_replicas_in_sync
        at_images = tape.gradient(share, fakes)
        gradients = _dense(generator_tape.gradient(fakes, variables, output_gradients=at_images))
        norm = _apply(self.generator_optimizer, gradients, variables)
        return {"g_loss": loss, "g_gradient_norm": norm}

    def run_steps(self, iterator, steps):
        """Runs `steps` iterations in one call of one graph, whatever the number.

        Args:
          iterator: of batches, made from a (distributed) `tf.data.Dataset`.
          steps: integer, at least 1.

        Returns:
          The metrics since their last reset, a dictionary of scalars: means over all steps,
          all replicas and all images.

        Raises:
          tf.errors.OutOfRangeError: if the data end before.
        """
        if self._compiled_steps is None:
            self._compiled_steps = tf.function(self._loop, jit_compile=self.jit_compile or None)
        return self._compiled_steps(iterator, tf.constant(steps, tf.int32))

    def _loop(self, iterator, steps):
        for _ in tf.range(steps):
            self.distribute_strategy.run(self.train_step, (next(iterator),))
        return {tracker.name: tracker.result() for tracker in self.metrics}

    def make_train_function(self, force=False):
        """What `fit` calls. Keras' own crashes on several replicas with `steps_per_execution`
        above 1, and on several workers always (keras#19246, keras#20585)."""
        if self.train_function is None or force:
            self._compiled_steps = None

            def run_execution(iterator):
                try:
                    return self.run_steps(iterator, self.steps_per_execution)
                except tf.errors.OutOfRangeError as error:
                    raise StopIteration from error

            self.train_function = run_execution
        return self.train_function

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing: both networks are built by their constructors, and Keras would call this model
        on a batch of images, where it takes latents."""

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "generator": serialize(self.generator),
            "discriminator": serialize(self.discriminator),
            "objective": serialize(self.objective),
            "ema_decay": self.ema_decay,
            "seed": self.seed,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        parts = ("generator", "discriminator", "objective")
        deserialize = keras.saving.deserialize_keras_object
        return cls(**{k: deserialize(v) if k in parts else v for k, v in config.items()})

    def get_compile_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "generator_optimizer": serialize(self.generator_optimizer),
            "discriminator_optimizer": serialize(self.discriminator_optimizer),
        }

    def compile_from_config(self, config):
        self.compile(**{k: keras.saving.deserialize_keras_object(v) for k, v in config.items()})


METRICS = ("d_loss", "g_loss", "d_real", "d_fake", "d_gradient_norm", "g_gradient_norm")


def _copy(network):
    """A second network of the same configuration and weights, which does not train."""
    copy = type(network).from_config({**network.get_config(), "name": f"{network.name}_ema"})
    copy.set_weights(network.get_weights())
    copy.trainable = False
    return copy


def _move_towards(average, network, decay):
    """average <- decay * average + (1 - decay) * network, moving statistics included."""
    for mean, value in zip(average.variables, network.variables, strict=True):
        mean.assign_sub((1.0 - decay) * (mean - value))


def _apply(optimizer, gradients, variables):
    """Sums the replicas' gradients, updates the variables, and returns the L2 norm of the sum."""
    context = tf.distribute.get_replica_context()
    summed = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    if isinstance(optimizer, TakesSummedGradients):
        optimizer.apply_summed(summed, variables)
    else:  # Keras' own optimizers sum over the replicas themselves
        optimizer.apply([g / context.num_replicas_in_sync for g in summed], variables)
    return tf.linalg.global_norm(summed)


def _dense(gradients):
    """Look-ups give sparse gradients; the optimizers treat those of a linear map, which are
    dense, alike."""
    return [tf.convert_to_tensor(gradient) for gradient in gradients]
