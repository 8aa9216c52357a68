"""What Keras' callbacks find in a GAN: one `model.optimizer` for its two; which are refused."""

import math

import keras

_REFUSED = {
    keras.callbacks.SwapEMAWeights: (
        "it would leave out the statistics of batch norm. A GAN averages its generator itself: "
        "with GAN(..., ema_decay=0.999), predict, evaluate and export take the average"
    ),
    keras.callbacks.OrbaxCheckpoint: (
        "it saves the variables of one optimizer. ModelCheckpoint and BackupAndRestore save those "
        "of both"
    ),
}


def check(callbacks) -> None:
    """Refuses the callbacks that cannot work on a GAN.

    Args:
        callbacks: what `fit` takes: None, a callback, a list of them, or a `CallbackList`.

    Raises:
        ValueError: one of them cannot.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    for callback in keras.tree.flatten(callbacks):
        for kind, reason in _REFUSED.items():
            if isinstance(callback, kind):
                raise ValueError(f"{kind.__name__} does not go with a GAN: {reason}.")


def name_broken(metrics: dict[str, float]) -> list[str]:
    """The names of the metrics that are NaN or infinite."""
    return [name for name, value in metrics.items() if not math.isfinite(value)]


class BothOptimizers:
    """What stands in `model.optimizer` for the two optimizers of a GAN.

    Keras' callbacks go through `optimizers`, as they do of a `keras.optimizers.MultiOptimizer`: so
    `LearningRateScheduler` and `ReduceLROnPlateau` set both rates, each from its own value, and
    log `learning_rate_generator` and `learning_rate_discriminator`. Whatever else is asked of it is
    an attribute of either of the two, and the error says so.

    Args:
        **optimizers: the optimizers, by the name of the network that they train.
    """

    built = True

    def __init__(self, **optimizers):
        self.optimizers = [_Named(name, optimizer) for name, optimizer in optimizers.items()]

    def __getattr__(self, name):
        raise AttributeError(
            f"A GAN has two optimizers, each with a {name} of its own: generator_optimizer.{name} "
            f"and discriminator_optimizer.{name}."
        )

    def __setattr__(self, name, value):
        if name != "optimizers":
            getattr(self, name)
        super().__setattr__(name, value)

    @property
    def iterations(self):
        """Updates that the first of them has made."""
        return self.optimizers[0].iterations

    @property
    def variables(self):
        """The variables of both."""
        return [variable for optimizer in self.optimizers for variable in optimizer.variables]


class _Named:
    """An optimizer under the name of the network that it trains."""

    def __init__(self, name, optimizer):
        self.name = name
        self._optimizer = optimizer

    @property
    def iterations(self):
        return self._optimizer.iterations

    @property
    def variables(self):
        return self._optimizer.variables

    @property
    def learning_rate(self):
        return self._optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate):
        inner = getattr(self._optimizer, "inner_optimizer", self._optimizer)
        if getattr(inner, "schedule", None) is not None:
            raise ValueError(
                f"The {self.name}'s learning rate follows a RateSchedule; a callback cannot set it "
                "as well. Make the optimizer without `schedule`, or leave the callback out."
            )
        self._optimizer.learning_rate = rate
