"""A row of the evidence: a claim of the papers and the runs that test it, read from a TOML file.

`rows/NAME.toml` is all there is of row NAME: a new row needs no code. The fields of `Row` are those
of the file, without `name`.
"""

import dataclasses
import re
import tomllib
from pathlib import Path

from lsgan_tf import recipes
from lsgan_tf.utils import typed_json
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.score_directions import BETTER

ROWS = Path(__file__).resolve().parent / "rows"
CLASSIFIER = "classifier"
MIXTURE, RECIPE, NO_RUNS = "gaussian_mixture", "recipe", "none"
_RUNNERS = (RECIPE, MIXTURE, NO_RUNS)
_VALUES = ("last", "best", "share")
_DIRECTIONS = {**BETTER, "modes": 1}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell of a table: what is trained, once for each seed."""

    name: str
    recipe: str = ""  # of flags/; of the mixture its objective
    flags: tuple[str, ...] = ()  # of the training command, beside the recipe's
    published: str = ""


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How checkpoints are scored."""

    # classifier, inception-2015, or the name of a network in DATA_DIR/features
    features: str
    images: int
    checkpoints: int = 5  # evenly spread over the run; 1 is the last one alone

    def __post_init__(self):
        if self.images < 2 or self.checkpoints < 1:
            raise ValueError("images must be 2 or more and checkpoints 1 or more")
        if not re.fullmatch(r"[\w-]+", self.features):
            raise ValueError(f"features {self.features!r} is not a name")


@dataclasses.dataclass(frozen=True)
class Collapse:
    """When a checkpoint counts as collapsed: any of these; None is not asked."""

    ratio: float | None = None  # its score is worse than the run's best by more than this factor
    beyond: float | None = None  # its score is worse than this
    classes: int | None = None  # fewer classes than this are covered
    repeats: float | None = None  # more of its images repeat one another than this share


@dataclasses.dataclass(frozen=True)
class Expectation:
    """What the claim says of the cells: `better` scores better than `than`, or the runs of the
    cells `learn`: more than half of them do not collapse."""

    better: str = ""
    than: str = ""
    learn: tuple[str, ...] = ()

    def __post_init__(self):
        if bool(self.better) != bool(self.than) or bool(self.better) == bool(self.learn):
            raise ValueError("give better and than, or learn")

    @property
    def cells(self) -> tuple[str, ...]:
        """The names of the cells it is about."""
        return self.learn or (self.better, self.than)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture that was made outside the runs."""

    file: str  # relative to docs/
    caption: str
    command: str


@dataclasses.dataclass(frozen=True)
class Row:
    """A claim and what tests it. Texts are Markdown of one paragraph."""

    name: str
    title: str
    paper: str
    where: str  # table, figure or section
    claim: str
    runner: str = RECIPE
    cells: tuple[Cell, ...] = ()
    published_protocol: str = ""  # how the published figures were taken
    deviations: str = ""
    dataset: str = ""
    prepare: str = ""  # the command that makes the data set; "": it is made when it is first used
    seeds: int = 0
    seeds_at_once: int = 10  # of the mixture: trained in one graph
    paper_steps: int = 0
    steps: int = 0
    cost: str = ""
    classifier_epochs: int = 5
    protocol: Protocol | None = None
    also: Protocol | None = None  # a second network, for the last checkpoint
    score: str = "fid"
    show: tuple[str, ...] = ()  # titles of further scores of the last checkpoint
    collapse: Collapse = Collapse()
    value: str = "last"  # what is compared: the last score, the best, or the share of successes
    success: float | None = None  # a last score so good is one; None: what has not collapsed
    expect: tuple[Expectation, ...] = ()
    pictures: tuple[Picture, ...] = ()

    def __post_init__(self):
        _check_choice("runner", self.runner, _RUNNERS)
        _check_choice("value", self.value, _VALUES)
        _check_choice("score", self.score, _DIRECTIONS)
        if self.runner != NO_RUNS and min(self.seeds, self.steps, self.seeds_at_once) < 1:
            raise ValueError("seeds and steps must be 1 or more")
        if (self.runner == NO_RUNS) != (not self.cells):
            raise ValueError('a row has cells, or runner = "none"')
        names = [cell.name for cell in self.cells]
        for name in names:
            if not re.fullmatch(r"[a-z0-9_]+", name) or names.count(name) > 1:
                raise ValueError(f"the cell {name!r} is named twice or has no name of a-z, 0-9, _")
        for expectation in self.expect:
            for name in expectation.cells:
                _check_choice("expect", name, names)
        if self.runner == RECIPE:
            self._check_recipes()

    def _check_recipes(self):
        if not self.dataset or self.protocol is None:
            raise ValueError("dataset and protocol are missing")
        known = [path.stem for path in recipes.paths()]
        for cell in self.cells:
            _check_choice(f"the recipe of cell {cell.name}", cell.recipe, known)
        kinds = [of.features == CLASSIFIER for of in (self.protocol, self.also) if of]
        if len(set(kinds)) < len(kinds):  # their scores have the same titles
            raise ValueError("one of protocol and also takes the classifier, the other does not")

    @property
    def direction(self) -> int:
        """-1 if a lower score is better, 1 if a higher one is."""
        return _DIRECTIONS[self.score]

    def cell(self, name: str) -> Cell:
        """The cell of this name.

        Raises:
            UserError: there is none.
        """
        for cell in self.cells:
            if cell.name == name:
                return cell
        known = ", ".join(cell.name for cell in self.cells) or "none"
        raise UserError(f"row {self.name} has no cell {name!r}; it has: {known}.")


def _check_choice(what, value, known):
    if value not in known:
        raise ValueError(f"{what}: {value!r} is unknown; known: {', '.join(known)}")


def names() -> list[str]:
    """The rows that there are, by name."""
    return sorted(path.stem for path in ROWS.glob("*.toml"))


def read(name: str) -> Row:
    """Reads `rows/NAME.toml`.

    Raises:
        UserError: there is no such row, or its file is not right; names the file and the field.
    """
    if name not in names():
        raise UserError(f"there is no row {name!r}; there are: {', '.join(names())}.")
    path = ROWS / f"{name}.toml"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # TOML and UTF-8
        raise UserError(f"{path} is not TOML: {error}.") from error
    return typed_json.parse({**content, "name": name}, Row, path)
