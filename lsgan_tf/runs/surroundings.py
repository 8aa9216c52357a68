"""What a run remembers of where it ran: the folder of its data, and what rounds its sums."""

import importlib.metadata
import os

_PACKAGES = ("tensorflow", "keras", "numpy", "tensorflow-datasets")


def versions() -> dict[str, str]:
    """The versions of the libraries that a run depends on."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def locate(data_dir: str, absolute: str | None) -> str:
    """The --data_dir of a run, as seen from the working directory.

    Args:
        data_dir: as it was given to the run.
        absolute: the folder that it was; None if the run is older and has not recorded it.

    Returns:
        The folder it was, if it is still there; else what was given.
    """
    if absolute is None or not os.path.isdir(absolute):
        return data_dir
    return data_dir if os.path.abspath(data_dir) == absolute else absolute


def warn_of_changes(old: dict[str, str], numerics: dict[str, str]) -> None:
    """Prints a warning if what rounds the sums has changed.

    Args:
        old: {what: value}, as the run has recorded it; empty for an older run.
        numerics: the same of now, without the versions of the libraries.
    """
    changes = [
        f"{name} {value} (was {old[name]})"
        for name, value in (versions() | numerics).items()
        if old.get(name, value) != value
    ]
    if changes:
        print(
            f"warning: resuming with {', '.join(changes)}: sums may be rounded otherwise, so the "
            "weights agree with those of an unchanged run to rounding, not bit for bit"
        )
