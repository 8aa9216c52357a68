"""gallery.html: a run's samples, losses and scores on one page that opens from the disk.

The run's files may be damaged or hostile: lines of the wrong types are left out, and the template
escapes all text.
"""

import shlex
import struct
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from lsgan_tf.config import Config
from lsgan_tf.runs import curves, score_log
from lsgan_tf.runs.checkpoints import available
from lsgan_tf.runs.run_directory import Best, Run
from lsgan_tf.runs.score_log import LoggedScore, LossLog, Protocol
from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError, printable

_TEMPLATE = Path(__file__).with_name("gallery.html")
_SMALL = 320  # pixels: a grid up to this width is shown at twice its size
_NARROWEST, _PADDING = 300, 26  # CSS pixels: of a card's picture, beside it


class _Picture(NamedTuple):
    url: str  # relative to the page
    width: int  # as shown, CSS pixels
    height: int
    alt: str


class _ScoreGroup(NamedTuple):
    """Scores of one protocol."""

    scores: list[LoggedScore]
    protocol: str


class _Card(NamedTuple):
    """What the page shows of one step."""

    step: int
    badge: str  # empty: not the best checkpoint
    picture: _Picture | None
    losses: str
    scores: list[_ScoreGroup]
    commands: list[str]


class _Charts(NamedTuple):
    """The curves of a run; all charts span the steps 0 to `last`."""

    last: int
    losses: curves.Chart | None
    scores: list[tuple[str, list[curves.Chart]]]  # (protocol, its charts)


class _Section(NamedTuple):
    heading: str
    note: str
    card_width: int  # CSS pixels
    cards: list[_Card]  # the newest first
    is_folded: bool  # where a script shows the same on the timeline


def write(run: Run) -> Path:
    """Writes a run's gallery.html again from what is in the run directory; returns its path.

    Raises:
        UserError: there is no run, or the page cannot be written.
    """
    config, _ = run.read()
    scores, losses = score_log.read_scores(run), LossLog(run)
    cards = _Cards(run, scores, losses)
    page = _environment().from_string(_TEMPLATE.read_text(encoding="utf-8"))
    rendered = page.render(
        title=run.name,
        facts=_describe_run(config),
        real_scores=group([score for score in scores if score.step is None]),
        reals=_real_images(run),
        has_timeline=len(cards.sampled_steps) > 1,
        charts=_charts(config, scores, losses, cards.sampled_steps),
        frame=(curves.WIDTH, curves.HEIGHT),
        sections=_sections(run, cards),
    )
    files.write_bytes(run.gallery, rendered.encode())
    return run.gallery


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        autoescape=True,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["thousands"] = "{:,}".format
    return environment


def _visible(value: Any) -> Any:
    """What the template inserts, with control characters as escapes that a reader sees."""
    is_html = hasattr(value, "__html__")  # of a macro, whose text is escaped
    return printable(value) if isinstance(value, str) and not is_html else value


def _describe_run(config: Config) -> str:
    objective = config.objective
    if objective == "least_squares":
        labels = (config.label_a, config.label_b, config.label_c)
        objective += f" (a, b, c = {', '.join(f'{label:g}' for label in labels)})"
    facts = (
        config.dataset,
        f"network {config.network}",
        objective,
        f"{config.train_steps:,} steps",
    )
    return " · ".join(facts)


def _real_images(run: Run) -> _Picture | None:
    path = run.directory / "reals.png"
    size = _png_size(path)
    return _picture(path.name, size, "real images", enlarge=True) if size else None


def _charts(config, scores, losses, sampled_steps) -> _Charts:
    logged = losses.all()
    scored = [score.step for score in scores if score.step is not None]
    last = max([1, *sampled_steps, *scored, *(one.step for one in logged)])
    groups = curves.of_scores(scores, last)
    return _Charts(
        last,
        curves.of_losses(config, logged, last),
        [(_describe_protocol(one.protocol, one.images, None), one.charts) for one in groups],
    )


def _sections(run: Run, cards: "_Cards") -> list[_Section]:
    kept = available(run.checkpoints)
    note = "The newest first. A click on a command selects it." if kept else "There is none yet."
    of_checkpoints = [cards.card(step, is_kept=True) for step in reversed(kept)]
    sections = [_section("Checkpoints", note, of_checkpoints, is_folded=False)]
    others = sorted(cards.sampled_steps - set(kept), reverse=True)
    if others:
        note = "Only the samples are left; --keep_checkpoints is how many checkpoints are kept."
        of_samples = [cards.card(step, is_kept=False) for step in others]
        sections.append(_section("Samples of other steps", note, of_samples, is_folded=True))
    return sections


def _section(heading: str, note: str, cards: list[_Card], *, is_folded: bool) -> _Section:
    widths = [card.picture.width for card in cards if card.picture]
    return _Section(heading, note, max([*widths, _NARROWEST]) + _PADDING, cards, is_folded)


class _Cards:
    """Makes the cards of a run's steps.

    Attributes:
        sampled_steps: the steps that have a sample grid.
    """

    def __init__(self, run: Run, scores: list[LoggedScore], losses: LossLog):
        self._run = run
        self._sizes = _sample_sizes(run)
        self._losses = losses
        self._best = _read_best(run)
        self._scores = {}  # {step: its scores}
        for score in scores:
            self._scores.setdefault(score.step, []).append(score)
        self.sampled_steps = self._sizes.keys()

    def card(self, step: int, *, is_kept: bool) -> _Card:
        """The card of a step whose checkpoint is kept, or that has only its samples left."""
        best = self._best if is_kept and self._best and self._best.step == step else None
        return _Card(
            step=step,
            badge=f"best {best.score}: {best.value:.4g}" if best else "",
            picture=self._picture(step, enlarge=is_kept),
            losses=self._describe_losses(step),
            scores=group(self._scores.get(step, [])),
            commands=self._commands(step) if is_kept else [],
        )

    def _picture(self, step, enlarge):
        if step not in self._sizes:
            return None
        url, alt = f"samples/{self._run.sample_path(step).name}", f"samples of step {step:,}"
        return _picture(url, self._sizes[step], alt, enlarge)

    def _describe_losses(self, step):
        losses = self._losses.at(step)
        if losses is None:
            return ""
        earlier = f" (step {losses.step:,})" if losses.step != step else ""
        return f"d_loss {losses.d_loss:.4g}, g_loss {losses.g_loss:.4g}{earlier}"

    def _commands(self, step):
        flags = [f"--run_dir={self._run.directory}", f"--checkpoint={step}"]
        modules = ("lsgan_tf.sample", "lsgan_tf.export")
        return [shlex.join(["python", "-m", module, *flags]) for module in modules]


def _read_best(run: Run) -> Best | None:
    try:
        return run.best()
    except UserError:  # damaged; the commands that need it report that
        return None


def group(scores: list[LoggedScore]) -> list[_ScoreGroup]:
    """The latest of each score under each protocol."""
    groups = {}
    for score in scores:
        groups.setdefault((score.protocol, score.images, score.weights), {})[score.name] = score
    return [
        _ScoreGroup(list(group.values()), _describe_protocol(*key)) for key, group in groups.items()
    ]


def _describe_protocol(protocol: Protocol, images: str, weights: str | None) -> str:
    of_weights = "" if weights is None else f", {weights.replace('ema', 'EMA', 1)} weights"
    return f"{protocol.count:,} {images} vs {protocol.reference}{of_weights}{protocol.features}"


def _sample_sizes(run: Run) -> dict[int, tuple[int, int]]:
    """{step: (width, height)} of the sample grids."""
    sizes = {step: _png_size(run.sample_path(step)) for step in run.list_sampled_steps()}
    return {step: size for step, size in sizes.items() if size}


def _png_size(path: Path) -> tuple[int, int] | None:
    """(width, height) from the header of a PNG file; None if it is none."""
    try:
        if not path.is_file():  # opening a named pipe would block
            return None
        with path.open("rb") as file:
            head = file.read(24)
    except OSError:
        return None
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", head[16:])
    return (width, height) if 0 < width < 2**31 and 0 < height < 2**31 else None


def _picture(url: str, size: tuple[int, int], alt: str, enlarge: bool) -> _Picture:
    """A picture in its own size, or `enlarge`d to twice that if it is small."""
    factor = 2 if enlarge and size[0] <= _SMALL else 1
    return _Picture(url, size[0] * factor, size[1] * factor, alt)
