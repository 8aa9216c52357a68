"""Settings of a GAN that the flags and the library share: their names, and which go together.

Plain Python: `config` refuses a wrong flag before TensorFlow is imported, which takes seconds.
"""

from collections.abc import Sequence

# Least squares objectives with a name: (a, b, c).
LABEL_PRESETS = {"pearson": (-1.0, 1.0, 0.0), "binary": (0.0, 1.0, 1.0)}
OBJECTIVES = ("least_squares", *LABEL_PRESETS, "sigmoid", "sigmoid_saturating", "wasserstein")
SCHEDULES = ("alternating", "simultaneous")
DISCRIMINATOR_NORMS = ("batch", "layer", "spectral", "none")
AUGMENTATIONS = ("color", "translation", "cutout")
LEARNING_RATE_SCHEDULES = ("constant", "linear", "cosine")


def check_labels(
    a: float,
    b: float,
    *,
    names: tuple[str, str] = ("Label a (generated examples)", "label b (real examples)"),
) -> None:
    """Checks that D has something to tell apart.

    Args:
        a: D's target for generated examples.
        b: D's target for real examples.
        names: what the message calls them.

    Raises:
        ValueError: if they are equal.
    """
    if a == b:
        raise ValueError(
            f"{names[0]} and {names[1]} are both {a}: the discriminator would have nothing to "
            "tell apart. Take (a, b, c) = (0, 1, 1) or (-1, 1, 0)."
        )


def check_schedule(schedule: str, n_critic: int, shared_latents: bool) -> None:
    """Checks that a schedule is known and goes with the other two settings.

    Raises:
        ValueError: if not; the message begins with the name of a setting.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule={schedule!r} is unknown; known: {', '.join(SCHEDULES)}.")
    if n_critic < 1:
        raise ValueError(f"n_critic={n_critic} is too small; D takes at least 1 step.")
    if schedule == "simultaneous" and (n_critic > 1 or not shared_latents):
        raise ValueError(
            "schedule=simultaneous takes one step of each network on the same latents: it goes "
            "with n_critic=1 and shared_latents=True only."
        )


def check_augmentations(kinds: Sequence[str]) -> None:
    """Checks that names of augmentations are known and that each comes once.

    Raises:
        ValueError: if not, or if there is none.
    """
    known = f"known: {', '.join(AUGMENTATIONS)}"
    if not kinds:
        raise ValueError(f"No augmentation is named; {known}.")
    for kind in kinds:
        if kind not in AUGMENTATIONS:
            raise ValueError(f"The augmentation {kind!r} is unknown; {known}.")
        if list(kinds).count(kind) > 1:
            raise ValueError(f"The augmentation {kind!r} is named twice.")


def check_learning_rate_schedule(schedule: str, warmup_steps: int, decay_steps: int) -> None:
    """Checks that a schedule of learning rates is known and goes with its numbers of steps.

    Raises:
        ValueError: if not; the message begins with the name of a setting.
    """
    if schedule not in LEARNING_RATE_SCHEDULES:
        raise ValueError(
            f"learning_rate_schedule={schedule!r} is unknown; known: "
            f"{', '.join(LEARNING_RATE_SCHEDULES)}."
        )
    if warmup_steps < 0:
        raise ValueError(f"warmup_steps={warmup_steps} is negative.")
    if schedule == "constant" and decay_steps:
        raise ValueError(
            f"decay_steps={decay_steps} goes with a learning_rate_schedule that falls: linear or "
            "cosine."
        )
    if schedule != "constant" and decay_steps < 1:
        raise ValueError(
            f"decay_steps={decay_steps} is too small; a rate takes at least 1 step to fall."
        )
    if schedule != "constant" and warmup_steps >= decay_steps:
        raise ValueError(
            f"warmup_steps={warmup_steps} must be below decay_steps={decay_steps}, where the rate "
            "has fallen to zero."
        )
