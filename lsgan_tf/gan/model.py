"""The least-squares GAN as one Keras model. It knows no file, no flag and no data set."""

import keras
import tensorflow as tf

from lsgan_tf.gan import arguments, ema, latents, penalties
from lsgan_tf.gan import augmentation as augmenting
from lsgan_tf.gan.batches import split_batch
from lsgan_tf.gan.callbacks import BothOptimizers
from lsgan_tf.gan.fitting import FittingModel, is_there
from lsgan_tf.gan.objectives import LeastSquares, fits
from lsgan_tf.gan.optimizers import apply_over_replicas, computes_in_half, make_pair, scale_loss
from lsgan_tf.gan.stepping import check_losses
from lsgan_tf.networks import freezing, normalization, own, spectral
from lsgan_tf.utils.settings import check_schedule

METRICS = ("d_loss", "g_loss", "d_real", "d_fake", "d_gradient_norm", "g_gradient_norm")
# The arguments of the constructor: what Keras serialises, and plain values.
_NETWORKS = ("generator", "discriminator")
_PARTS = (*_NETWORKS, "objective", "penalty", "augmentation")
_SETTINGS = (
    *("penalty_every", "schedule", "n_critic", "shared_latents", "loss_scale", "ema_decay"),
    *("seed", "name"),
)


@keras.saving.register_keras_serializable("lsgan_tf")
class GAN(FittingModel):
    """A generator and a discriminator that train each other.

    ```
    gan = GAN(DCGANGenerator((32, 32, 3)), DCGANDiscriminator((32, 32, 3)))
    gan.compile(Adam(2e-4), Adam(2e-4))
    gan.fit(dataset, epochs=20)  # batches of examples, or of (examples, labels)
    images = gan.predict(latents)
    ```

    One iteration is the authors': draw z, one step of D on real examples and G(z), one step of G
    through the updated D with the same z. G runs forward once: its weights do not change during
    D's step, so G(z) serves both. Other schedules:

    - `n_critic` steps of D to one of G, each on a batch and latents of its own; `fit` counts
      iterations as steps, so an epoch has `n_critic` times fewer of them than batches;
    - `shared_latents=False`: G's step draws latents of its own, too;
    - `schedule="simultaneous"`: both gradients are taken at the same weights, then both applied.
      This is also what training G first and then D on the same generated examples amounts to.

    Under a `tf.distribute` strategy make and compile the model inside `strategy.scope()`. Losses
    are means over the global batch, so the number of replicas changes nothing but the speed. All
    batches must be of one size that divides by the replicas (`drop_remainder=True`).

    Args:
        generator: a `networks.base.Generator`, or any Keras model: see `networks.own`.
        discriminator: a `networks.base.Discriminator` of the same shape of examples and labels, or
            any Keras model.
        objective: an `objectives.Objective`.
        penalty: a `penalties.Penalty` added to D's loss, or None.
        penalty_every: add the penalty to every so-manieth step of D, times this number ("lazy";
            Karras et al., 2020): nearly the same training, in less time.
        augmentation: an `augmentation.Augmentation` of all that D sees, or None. A penalty is then
            on D at the augmented examples.
        schedule: "alternating" or "simultaneous".
        n_critic: steps of D to one of G, at least 1; an iteration takes as many batches.
        shared_latents: whether G's step takes the latents of the last of D's.
        loss_scale: what both losses (penalty included) are multiplied by for the gradients. The
            batch size makes them sums over the batch, as in the authors' code: Adam does not
            notice, RMSProp does in its first steps, while its mean square still holds the one that
            it starts at.
        ema_decay: decay of an average of G's weights and moving statistics, kept beside G, in
            [0, 1); 0 keeps none. It grows towards this value as (1 + step) / (10 + step), so that
            an early average is one of what was learned so far, not of the initial weights.
        seed: of the latents and of the penalty's noise, which are functions of (seed, step).

    Attributes:
        step: int64 variable, iterations done.
        generator_ema: the averaged generator, or None.

    Raises:
        ValueError: if the two networks do not fit each other, if D has batch norm where there is
            a penalty, if the augmentation does not take such examples, if an argument is of
            another kind, or if the schedule is unknown or does not go with the other settings.
    """

    def __init__(
        self,
        generator,
        discriminator,
        objective=None,
        penalty=None,
        *,
        penalty_every=1,
        augmentation=None,
        schedule="alternating",
        n_critic=1,
        shared_latents=True,
        loss_scale=1.0,
        ema_decay=0.0,
        seed=0,
        name="gan",
    ):
        super().__init__(name=name)
        arguments.check_parts(objective=objective, penalty=penalty, augmentation=augmentation)
        arguments.check_settings(penalty, penalty_every, ema_decay, loss_scale)
        generator, discriminator = own.make_pair(generator, discriminator)
        latents.check(generator.latent_distribution)
        check_schedule(schedule, n_critic, shared_latents)
        if penalty is not None:
            penalties.check_penalised(discriminator)
        if augmentation is not None:
            augmentation.check_shape(discriminator.image_shape)
        spectral.check(discriminator)
        self.generator = generator
        self.discriminator = discriminator
        self.objective = LeastSquares() if objective is None else objective
        if not fits(self.objective, discriminator.logit_range):
            raise ValueError(
                f"D's outputs lie within {discriminator.logit_range}, and not all targets of "
                f"{self.objective} do. End D with Dense(1) and no activation."
            )
        self.penalty = penalty
        self.penalty_every = penalty_every
        self.augmentation = augmentation
        self.schedule = schedule
        self.n_critic = n_critic
        self.shared_latents = shared_latents
        self.loss_scale = loss_scale
        self.ema_decay = ema_decay
        self.seed = seed
        self.generator_ema = ema.copy(generator) if ema_decay else None
        self.step = self.add_weight(
            name="step", shape=(), dtype="int64", initializer="zeros", trainable=False
        )
        names = METRICS if penalty is None else (*METRICS, "d_penalty")
        self._trackers = {name: keras.metrics.Mean(name) for name in names}
        self.built = True

    @property
    def sampling_generator(self):
        """The generator to draw samples with: the average where there is one."""
        return self.generator_ema or self.generator

    @property
    def state(self):
        """All variables that the next step depends on, of the average as well."""
        networks = (self.generator, self.discriminator, self.generator_ema)
        variables = [variable for network in networks if network for variable in network.variables]
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            variables += optimizer.variables
        return [self.step, *variables]

    def compile(self, generator_optimizer=None, discriminator_optimizer=None, **kwargs):
        """Sets the two optimizers, which must be two objects or Keras' names; `Adam()` by default.

        Other arguments go to `keras.Model.compile`, for example `steps_per_execution`. XLA is
        off unless `jit_compile=True`, which goes with one device, without `MirroredStrategy`, and
        draws other latents for the same seed. Where a network computes in float16, each optimizer
        that is no `LossScaleOptimizer` comes into one, unless `auto_scale_loss=False`.

        Raises:
            ValueError: for one object twice, `use_ema`, `jit_compile` under `MirroredStrategy` or
                on several replicas, or what a GAN has no use for: `loss`, `metrics` and their
                weights.
        """
        arguments.check_compile(kwargs)
        networks = self.generator, self.discriminator
        scaled = kwargs.get("auto_scale_loss", True) and computes_in_half(*networks)
        with self.distribute_strategy.scope():
            pair = make_pair(generator_optimizer, discriminator_optimizer, scaled=scaled)
            super().compile(optimizer=None, **kwargs)
            self.generator_optimizer, self.discriminator_optimizer = pair
            # Slots that are made lazily inside a replica crash, or miss from a checkpoint.
            for optimizer, network in zip(pair, networks, strict=True):
                if not optimizer.built:
                    optimizer.build(network.trainable_variables)
            self.optimizer = BothOptimizers(generator=pair[0], discriminator=pair[1])

    def compile_from_config(self, config):
        # As they were saved: with another scaling an optimizer has other variables.
        super().compile_from_config({"auto_scale_loss": False, **config})

    @property
    def metrics(self):
        return list(self._trackers.values())

    def train_step(self, *batches):
        """Takes one iteration.

        Args:
            *batches: `n_critic` of them, each examples [N, ...] or (examples, labels [N]); N is
                per replica.

        Returns:
            The metrics since their last reset.

        Raises:
            ValueError: if the batches are too many or too few, if they lack labels that the
                networks take, or if the model is not compiled.
        """
        self.check_compiled("train_step")
        if len(batches) != self.n_critic:
            raise ValueError(f"{len(batches)} batches for n_critic={self.n_critic} steps of D.")
        # Nothing may move before the batches are there: without them there is no step to count.
        with tf.control_dependencies(tf.nest.flatten(batches)):
            batches = [split_batch(b, self.generator.num_classes) for b in batches]
            if self.schedule == "simultaneous":
                self._step_simultaneously(*batches[0])
            else:
                self._step_alternately(batches)
            for network in (self.generator, self.discriminator):
                normalization.average_over_replicas(network)
            if self.generator_ema is not None:
                ema.move(self.generator_ema, self.generator, self.ema_decay, self.step.value)
            self.step.assign_add(1)
            check_losses(self.generator, self.discriminator)
            return self.get_metrics_result()

    _own_step = train_step

    def _step_alternately(self, batches):
        """`n_critic` steps of D, then one of G through the updated D."""
        for number, (real, condition) in enumerate(batches):
            with tf.GradientTape() as generator_tape:
                fake = self._generate(real, condition, number)
            spectral.iterate(self.discriminator)
            with tf.GradientTape() as tape:
                d_loss, _ = self._discriminate(real, fake, condition, number)
                d_share = self._take_share(d_loss, self.discriminator_optimizer)
            self._update_discriminator(tape, d_share)
        if not self.shared_latents:
            with tf.GradientTape() as generator_tape:
                fake = self._generate(real, condition, self.n_critic)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fake)
            seen = self._augment(fake, look=2 * self.n_critic)
            fake_logits = self.discriminator(seen, *condition, training=True)
            g_loss = self.objective.generator(fake_logits)
            g_share = self._take_share(g_loss, self.generator_optimizer)
        self._update_generator(generator_tape, fake, tape.gradient(g_share, fake), g_loss)

    def _step_simultaneously(self, real, condition):
        """One step of each, both gradients taken before either is applied."""
        with tf.GradientTape() as generator_tape:
            fake = self._generate(real, condition, 0)
        spectral.iterate(self.discriminator)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(fake)
            d_loss, fake_logits = self._discriminate(real, fake, condition, 0)
            d_share = self._take_share(d_loss, self.discriminator_optimizer)
            g_loss = self.objective.generator(fake_logits)
            g_share = self._take_share(g_loss, self.generator_optimizer)
        gradient_at_fake = tape.gradient(g_share, fake)
        self._update_discriminator(tape, d_share)
        self._update_generator(generator_tape, fake, gradient_at_fake, g_loss)

    @property
    def _noise(self):
        return latents.Iteration(self.seed, self.step.value, self.n_critic)

    def _generate(self, real, condition, number):
        """As many generated examples as real ones, for D's step of this number, or G's."""
        z = self._noise.draw_latents(
            self.generator.latent_distribution, tf.shape(real)[0], self.generator.latent_dim, number
        )
        return self.generator(z, *condition, training=True)

    def _discriminate(self, real, fake, condition, number):
        """D's loss in its step of this number, and the logits of the fakes."""
        real = self._augment(real, look=2 * number)
        fake = self._augment(fake, look=2 * number + 1)
        # Apart, G's gradient is not taken through the logits of the real examples, too.
        apart = self.schedule == "simultaneous"
        real_logits, fake_logits = self.discriminator.judge(real, fake, *condition, apart=apart)
        loss = self.objective.discriminator(real_logits, fake_logits)
        means = tf.reduce_mean(real_logits), tf.reduce_mean(fake_logits)
        self._track({"d_loss": loss, "d_real": means[0], "d_fake": means[1]}, is_there(real))
        if self.penalty is not None:
            loss += self.penalty_every * self._penalise(real, fake, condition, number)
        return loss, fake_logits

    def _augment(self, examples, look):
        """What D sees of examples when it looks for the `look`-th time in this iteration."""
        if self.augmentation is None:
            return examples
        numbers = self._noise.draw_for_look((tf.shape(examples)[0], augmenting.DRAWS), look)
        return self.augmentation(examples, numbers, self.generator.value_range)

    def _penalise(self, real, fake, condition, number):
        """The penalty in D's step of this number, 0 where it is left out."""
        uniform = self._noise.uniform_of_penalty(number, real.dtype)

        def discriminate(points):
            return self.discriminator(points, *condition, training=True)

        def compute():
            return penalties.compute(self.penalty, discriminate, points)

        # Not within the condition, where replicas cannot exchange what the points depend on.
        points = self.penalty.points(real, fake, uniform)
        due = (self.step.value * self.n_critic + number) % self.penalty_every == 0
        lazy = self.penalty_every > 1
        penalty = tf.cond(due, compute, lambda: tf.zeros([], real.dtype)) if lazy else compute()
        self._track({"d_penalty": penalty}, is_there(real) & (due if lazy else True))
        return penalty

    def _take_share(self, loss, optimizer):
        """What this replica adds to the global loss, whose gradient the optimizer takes."""
        share = loss * (self.loss_scale / self.distribute_strategy.num_replicas_in_sync)
        return scale_loss(optimizer, share)

    def _update_discriminator(self, tape, share):
        variables = self.discriminator.trainable_variables
        gradients = tape.gradient(share, variables)
        norm, applied = apply_over_replicas(self.discriminator_optimizer, gradients, variables)
        self._track({"d_gradient_norm": norm}, applied)

    def _update_generator(self, tape, fake, gradient_at_fake, loss):
        """Hands dL/dG(z), taken through D, to the tape of G's pass."""
        variables = self.generator.trainable_variables
        gradients = tape.gradient(fake, variables, output_gradients=gradient_at_fake)
        norm, applied = apply_over_replicas(self.generator_optimizer, gradients, variables)
        self._track({"g_loss": loss}, is_there(fake))
        self._track({"g_gradient_norm": norm}, applied)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        parts = {name: serialize(getattr(self, name)) for name in _PARTS}
        # A network's own configuration does not tell which of its layers train.
        frozen = {name: freezing.find_frozen(getattr(self, name)) for name in _NETWORKS}
        frozen = {"frozen": frozen} if any(frozen.values()) else {}
        return {**parts, **{name: getattr(self, name) for name in _SETTINGS}, **frozen}

    @classmethod
    def from_config(cls, config):
        deserialize = keras.saving.deserialize_keras_object
        config = {k: deserialize(v) if k in _PARTS else v for k, v in config.items()}
        frozen = config.pop("frozen", {})
        gan = cls(**config)
        for name, numbers in frozen.items():
            freezing.freeze(getattr(gan, name), numbers)
        return gan
