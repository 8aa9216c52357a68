"""The recipes of `flags/`: what each of them trains, read from the files themselves."""

from typing import NamedTuple

from absl import flags

from lsgan_tf import config
from lsgan_tf.config import LABEL_PRESETS, RECIPES, Config
from lsgan_tf.utils import text
from lsgan_tf.utils.errors import UserError

COLUMNS = ("recipe", "data set", "network", "objective", "optimizer", "steps", "what")
_PRESET_OF = {labels: name for name, labels in LABEL_PRESETS.items()}


class Recipe(NamedTuple):
    """A flagfile: its name, its first line, and the run it resolves to.

    `dataset` is None if it leaves the data set open.
    """

    name: str
    title: str
    dataset: str | None
    config: Config


def read(path):
    """The `Recipe` in the flagfile at `path`.

    Raises:
      UserError: if it is no flagfile of the training command, or its flags contradict each other;
        names the file.
    """
    values = flags.FlagValues()
    config.define_flags(values)
    try:
        title = path.read_text(encoding="utf-8").partition("\n")[0]
        _, *strays = values(["recipe", f"--flagfile={path}"])
        config.check_labels(values)
        resolved = config.from_flags(values)
    except (OSError, UnicodeDecodeError, flags.Error, UserError) as error:
        raise UserError(f"recipe {path} cannot be used: {error}") from error
    if strays:
        raise UserError(f"recipe {path} cannot be used: {strays[0]!r} is not a flag.")
    if not title.startswith("# "):
        raise UserError(f"recipe {path} cannot be used: its first line is not '# ' and a title.")
    dataset = resolved.dataset if values["dataset"].present else None
    return Recipe(path.stem, title.removeprefix("# "), dataset, resolved)


def paths():
    """The recipes' files, in order of their names."""
    return sorted(RECIPES.glob("*.flags"))


def table():
    """The lines of a table of all recipes, in columns.

    Raises:
      UserError: if one of them is malformed.
    """
    return text.aligned([COLUMNS, *(_row(read(path)) for path in paths())])


def _row(recipe):
    resolved = recipe.config
    return (
        recipe.name,
        recipe.dataset or "any other",
        resolved.network,
        _objective(resolved),
        resolved.optimizer,
        f"{resolved.train_steps:,}",
        recipe.title,
    )


def _objective(resolved):
    """The name of the objective, of its labels if they have one, and of the penalty."""
    name = resolved.objective
    if name == "least_squares":
        labels = (resolved.label_a, resolved.label_b, resolved.label_c)
        name = _PRESET_OF.get(labels, f"{name} {labels}")
    return name if resolved.penalty == "none" else f"{name} + {resolved.penalty}"
