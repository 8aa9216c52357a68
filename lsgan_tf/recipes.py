"""The flags of the training command, and the recipes of `flags/`: which one a command line takes,
what each of them trains.

A recipe is a flagfile of the training command. Those of one experiment include the settings that
they share from `flags/common`.
"""

import dataclasses
import re
from pathlib import Path
from typing import NamedTuple

from absl import flags

from lsgan_tf.config import CONFIG_FILE, RECIPE_FILE, Config
from lsgan_tf.utils import command_line, flagfile
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.flagfile import Flagfile
from lsgan_tf.utils.layout import RECIPES
from lsgan_tf.utils.settings import LABEL_PRESETS

COLUMNS = ("recipe", "data set", "network", "objective", "optimizer", "steps", "what")
# The field of `Config` that begins each group of flags in --help.
_GROUPS = {
    "dataset": "What to learn from",
    "network": "The networks",
    "objective": "What to minimise",
    "schedule": "How to train",
    "dtype_policy": "How to run it",
    "run_dir": "What to keep",
    "eval_every": "How to score it meanwhile",
}
_SWITCHES = {
    "dry_run": "Print the resolved run and its networks, then stop.",
    "list_recipes": "Print the recipes of flags/, then stop.",
    "list_networks": "Print the pairs of networks, then stop.",
    "allow_config_change": "Resume a run under changed flags.",
}
# What is said of one penalty or network means nothing for another.
_SETTINGS_OF = {
    "penalty": ("penalty_weight", "penalty_width", "penalty_target", "penalty_every"),
    "network": ("discriminator_norm", "base_channels"),
}
_PRESET_OF = {labels: name for name, labels in LABEL_PRESETS.items()}


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines a flag for each field of `Config`, and those of the command alone."""

    def define(kind, *args):
        kind(*args, flag_values=values)

    for field in dataclasses.fields(Config):
        define(*_flag(field))
    for name, text in _SWITCHES.items():
        define(flags.DEFINE_boolean, name, False, text)


def flag_groups() -> dict[str, list[str]]:
    """The flags of `define_flags` in groups, for --help: {title: names}."""
    groups, title = {}, ""
    for field in dataclasses.fields(Config):
        title = _GROUPS.get(field.name, title)
        groups.setdefault(title, []).append(field.name)
    return groups | {"Of this command alone": [*_SWITCHES]}


def _flag(field):
    """The function that defines the flag of a field, and its arguments."""
    name, facts = field.name, field.metadata
    text = facts["help"]
    if facts["choices"]:
        return flags.DEFINE_enum, name, field.default, list(facts["choices"]), text
    if field.type is bool:
        return flags.DEFINE_boolean, name, field.default, text
    if field.type is int:
        return flags.DEFINE_integer, name, field.default, text, facts["low"], facts["high"]
    if field.type is float:
        return flags.DEFINE_float, name, field.default, text, facts["low"], facts["high"]
    return flags.DEFINE_string, name, field.default, text


def from_flags(values: flags.FlagValues | None = None) -> Config:
    """The `Config` of the parsed flags, those of the command unless others are given.

    Raises:
        UserError: if two flags contradict each other.
    """
    values = flags.FLAGS if values is None else values
    return Config(**{field.name: values[field.name].value for field in dataclasses.fields(Config)})


def parse(argv: list[str]) -> list[str]:
    """Parses the flags of the training command, for `absl.app.run`.

    The recipe comes first, then the command line, which wins; another penalty or network than the
    recipe's takes its own settings, not those that the recipe has of the former. The recipe is the
    --flagfile if there is one; else that of an existing --run_dir, if no --dataset is named; else
    flags/DATASET.flags; else flags/default.flags. An empty --run_dir becomes runs/RECIPE, or
    runs/DATASET if it is one of flags/ that leaves the data set open.

    Raises:
        UserError: if a flagfile cannot be read, or if labels stand beside a preset.
    """
    values = flags.FLAGS
    command, *arguments = argv
    arguments, flagfiles = flagfile.expand(arguments)
    remaining = command_line.parse_flags([command, *arguments])
    if not flagfiles:
        flagfiles = [flagfile.read(_choose_recipe(values))]
        # Absl keeps what it has parsed, so a second pass in this order lets the user win.
        remaining = command_line.parse_flags([command, *flagfiles[-1].arguments, *arguments])
    _check_labels(argv[1:], values.objective)
    recipe = flagfiles[-1]
    try:
        _check_recipe(recipe)
    except UserError as error:
        raise UserError(f"{recipe.path}: {error}") from error
    _reset_settings(recipe, argv[1:], values)
    values.run_dir = values.run_dir or str(_default_run_dir(values.dataset, recipe))
    return remaining


def _values_of(part: Flagfile) -> flags.FlagValues:
    """The flags that a flagfile gives by itself, those of other commands left out."""
    values = flags.FlagValues()
    define_flags(values)
    values(["recipe", *part.arguments], known_only=True)
    return values


def _reset_settings(recipe, arguments, values):
    """Takes back what the recipe sets of a penalty or network that the command line replaces."""
    own = _values_of(recipe)
    given = {name[1] for name in (re.match(r"--?(\w+)", one) for one in arguments) if name}
    for choice, settings in _SETTINGS_OF.items():
        if values[choice].value != own[choice].value:
            for name in {*settings} - given:
                values[name].unparse()


def _choose_recipe(values):
    """The path of the recipe of a command line that names none."""
    if values.run_dir and not values["dataset"].present:
        resumed = Path(values.run_dir) / RECIPE_FILE
        if resumed.is_file():
            return resumed
    named = RECIPES / f"{values.dataset}.flags"
    if re.fullmatch(r"\w+", values.dataset) and named.is_file():
        return named
    return RECIPES / "default.flags"


def _default_run_dir(dataset, recipe):
    folder = recipe.path.parent
    if (folder / CONFIG_FILE).is_file():  # a run's own recipe: that run
        return folder
    is_open = folder.resolve() == RECIPES and not _values_of(recipe)["dataset"].present
    name = dataset if is_open else recipe.path.stem
    return Path("runs") / re.sub(r"\W+", "_", name)


def _check_recipe(recipe: Flagfile):
    """Refuses labels beside a preset, in a recipe by itself and in each file that it includes.

    What a file includes gives way to it, as the recipe gives way to the command line: a preset
    replaces the labels of an included file, but not those beside it.
    """
    for part in recipe.walk():
        try:
            _check_labels(part.own, _values_of(part).objective)
        except UserError as error:
            if part is recipe:
                raise
            raise UserError(f"in {part.path}, {error}") from error


def _check_labels(arguments, objective):
    """Refuses labels among arguments whose objective is a preset: they would have no effect."""
    given = [argument for argument in arguments if re.match("--?label_[abc]\\b", argument)]
    if objective in LABEL_PRESETS and given:
        raise UserError(
            f"--objective={objective} brings its own labels; leave {given[0]} out, or take "
            "--objective=least_squares."
        )


class Recipe(NamedTuple):
    """A recipe: its name, its first line, and the run it resolves to.

    `dataset` is None if it leaves the data set open.
    """

    name: str
    title: str
    dataset: str | None
    config: Config


def read(path: Path) -> Recipe:
    """Reads the recipe at `path`.

    Raises:
        UserError: if it is no flagfile of the training command, or its flags contradict each other;
            names the file.
    """
    values = flags.FlagValues()
    define_flags(values)
    try:
        recipe = flagfile.read(path)
        _, *strays = values(["recipe", *recipe.arguments])
        _check_recipe(recipe)
        resolved = from_flags(values)
    except (flags.Error, UserError) as error:
        raise UserError(f"recipe {path} cannot be used: {error}") from error
    if strays:
        raise UserError(f"recipe {path} cannot be used: {strays[0]!r} is not a flag.")
    if not recipe.title.startswith("# "):
        raise UserError(f"recipe {path} cannot be used: its first line is not '# ' and a title.")
    dataset = resolved.dataset if values["dataset"].present else None
    return Recipe(path.stem, recipe.title.removeprefix("# "), dataset, resolved)


def paths() -> list[Path]:
    """The recipes' files, in order of their names."""
    return sorted(RECIPES.glob("*.flags"))


def table() -> list[str]:
    """The lines of a table of all recipes, in columns.

    Raises:
        UserError: if one of them is malformed.
    """
    return command_line.aligned([COLUMNS, *(_row(read(path)) for path in paths())])


def _row(recipe):
    resolved = recipe.config
    return (
        recipe.name,
        recipe.dataset or "any other",
        resolved.network,
        _name_objective(resolved),
        resolved.optimizer,
        f"{resolved.train_steps:,}",
        recipe.title,
    )


def _name_objective(resolved):
    """The name of the objective, of its labels if they have one, and of the penalty."""
    name = resolved.objective
    if name == "least_squares":
        labels = (resolved.label_a, resolved.label_b, resolved.label_c)
        name = _PRESET_OF.get(labels, f"{name} {labels}")
    return name if resolved.penalty == "none" else f"{name} + {resolved.penalty}"
