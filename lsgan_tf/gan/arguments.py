"""What `GAN` and its `compile` are given: whether it is what they take."""

_OF_KERAS = {
    "optimizer": "A GAN has two: give generator_optimizer and discriminator_optimizer",
    "loss": "What a GAN minimises is an argument of its constructor: GAN(..., objective=...)",
    "loss_weights": "Each network has one loss; GAN(..., loss_scale=...) multiplies both",
    "metrics": (
        "A GAN logs its losses and D's mean logits. For scores of its images give fit the "
        "callback lsgan_tf.Scores; for other numbers write a callback"
    ),
}
_OF_KERAS["weighted_metrics"] = _OF_KERAS["metrics"]

# What an argument of the constructor takes, and the methods that are asked of it.
_PARTS = {
    "objective": (
        ("discriminator", "generator"),
        "LeastSquares(), SigmoidCrossEntropy(), Wasserstein() or an object of your own",
    ),
    "penalty": (
        ("points", "cost"),
        "AroundData(), DRAGAN(), Interpolates(), R1() or an object of your own",
    ),
    "augmentation": (
        ("check_shape", "__call__"),
        "lsgan_tf.Augmentation(['color', 'cutout']) or an object of your own",
    ),
}


def check_parts(**parts) -> None:
    """Checks the objects that the constructor takes; None stands for what is left out.

    Raises:
        ValueError: one of them lacks a method, or is a class.
    """
    for name, part in parts.items():
        methods, taken = _PARTS[name]
        if isinstance(part, type):
            raise ValueError(f"{name} is the class {part.__name__}; give {part.__name__}().")
        if part is not None and not all(callable(getattr(part, m, None)) for m in methods):
            raise ValueError(
                f"{name} is {part!r}; give {taken} with the methods {' and '.join(methods)}."
            )


def check_compile(given: dict) -> None:
    """Refuses the arguments of `keras.Model.compile` that a GAN has no use for.

    Raises:
        ValueError: one of them is given.
    """
    for name, reason in _OF_KERAS.items():
        if given.get(name) is not None:
            raise ValueError(f"compile() of a GAN takes no {name}. {reason}.")


def check_settings(penalty, penalty_every: int, ema_decay: float, loss_scale: float) -> None:
    """Checks the numbers that the constructor takes.

    Raises:
        ValueError: one of them is out of its range.
    """
    if penalty_every < 1 or (penalty is None and penalty_every > 1):
        raise ValueError(
            f"penalty_every is {penalty_every}; it must be 1 or more, and 1 without a penalty."
        )
    if not 0.0 <= ema_decay < 1.0:
        raise ValueError(f"ema_decay is {ema_decay}; it must lie in [0, 1).")
    if not loss_scale > 0.0:
        raise ValueError(f"loss_scale is {loss_scale}; it must be above 0.")
