"""gallery.html: a run's samples, losses and scores on one page that opens from the disk.

What stands in the run's files may be damaged, or meant to do harm: a line of the wrong types is
left out, and all text is escaped.
"""

import html
import os
import re
import shlex
import struct
import urllib.parse

from lsgan_tf.runs import score_log
from lsgan_tf.runs.checkpoints import available
from lsgan_tf.runs.gallery_page import CARD, PAGE, SECTION, STYLE
from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError, printable

_SMALL = 320  # pixels: a grid up to this width is enlarged
_NARROWEST, _PADDING = 300, 26  # CSS pixels: of a card's picture, beside it


def write(run):
    """Writes a run's gallery.html anew, from what is in the run directory; returns its path.

    Raises:
      UserError: if there is no run, or the page cannot be written.
    """
    files.write_bytes(run.gallery, _page(run).encode())
    return run.gallery


def _page(run):
    config, _ = run.read()
    scores = score_log.scores(run)
    kept, pictures = available(run.checkpoints), _pictures(run)
    cards = _Cards(run, pictures, scores)
    note = "The newest first. A click on a command selects it." if kept else "There is none yet."
    sections = cards.section(kept, "Checkpoints", note)
    if gone := pictures.keys() - set(kept):
        note = "Only the samples are left; --keep_checkpoints is how many checkpoints are kept."
        sections += cards.section(gone, "Samples of other steps", note, kept=False)
    return PAGE.substitute(
        title=_text(os.path.basename(os.path.abspath(run.directory))),
        style=STYLE,
        facts=_facts(config),
        floor=_floor([score for score in scores if score.step is None]),
        reals=_reals(run),
        sections=sections,
    )


def _facts(config):
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
    return " · ".join(map(_text, facts))


def _floor(scores):
    if not scores:
        return ""
    note = "<p>The floor, what real images score:</p>\n"
    return f"<div>\n{note}{_scores(scores)}</div>\n"


def _reals(run):
    path = run.directory / "reals.png"
    size = _png_size(path)
    if not size:
        return ""
    picture = _image(path.name, size, "real images", _scale(size))
    return f"<figure>\n{picture}<figcaption>Real images</figcaption>\n</figure>\n"


class _Cards:
    """Makes a card for each step of a run."""

    def __init__(self, run, pictures, scores):
        self._run = run
        self._pictures = pictures  # {step: size}
        self._losses = score_log.LossLog(run)
        self._best = _best(run)
        self._scores = {}  # {step: [Scored]}
        for score in scores:
            self._scores.setdefault(score.step, []).append(score)

    def section(self, steps, heading, note, kept=True):
        """The cards of these steps, the newest first; compact where no checkpoint is kept."""
        steps = sorted(steps, reverse=True)
        sizes = [self._pictures[step] for step in steps if step in self._pictures]
        widths = [size[0] * _scale(size, kept) for size in sizes]
        return SECTION.substitute(
            heading=_text(heading),
            note=_text(note),
            width=max(widths + [_NARROWEST]) + _PADDING,
            cards="".join(self._card(step, kept) for step in steps),
        )

    def _card(self, step, kept):
        best = self._best if kept and self._best and self._best.step == step else None
        badge = f"best {best.score}: {best.value:.4g}" if best else ""
        return CARD.substitute(
            step=step,
            shown=f"{step:,}",
            mark=" best" if best else "",
            badge=f'<strong class="badge">{_text(badge)}</strong>' if best else "",
            picture=self._picture(step, kept),
            losses=self._loss(step),
            scores=_scores(self._scores.get(step, [])),
            commands=self._commands(step) if kept else "",
        )

    def _picture(self, step, kept):
        if step not in self._pictures:
            return ""
        size = self._pictures[step]
        alt = f"samples of step {step:,}"
        picture = _image(f"samples/{_name(step)}", size, alt, _scale(size, kept))
        return f'<div class="picture">\n{picture}</div>\n'

    def _loss(self, step):
        losses = self._losses.at(step)
        if losses is None:
            return ""
        earlier = f" (step {losses.step:,})" if losses.step != step else ""
        return f"d_loss {losses.discriminator:.4g}, g_loss {losses.generator:.4g}{earlier}"

    def _commands(self, step):
        chosen = [f"--run_dir={self._run.directory}", f"--checkpoint={step}"]
        commands = (["python", "-m", f"lsgan_tf.{name}", *chosen] for name in ("sample", "export"))
        return "".join(
            f"<pre><code>{_text(shlex.join(command))}</code></pre>\n" for command in commands
        )


def _best(run):
    try:
        return run.best()
    except UserError:  # damaged; the commands that need it say so
        return None


def _scores(scores):
    """The latest of each score and protocol: a list for each protocol, and what that is."""
    groups = {}
    for score in scores:
        groups.setdefault((score.protocol, score.images, score.weights), {})[score.name] = score
    return "".join(
        f'<div>\n<ul class="scores">\n{"".join(map(_score, group.values()))}</ul>\n'
        f'<p class="quiet">{_text(_protocol(*key))}</p>\n</div>\n'
        for key, group in groups.items()
    )


def _score(score):
    return f"<li><span>{_text(score.heading)}</span> <b>{_text(score.text)}</b></li>\n"


def _protocol(protocol, images, weights):
    of = "" if weights is None else f", {weights.replace('ema', 'EMA', 1)} weights"
    return f"{protocol.count:,} {images} vs {protocol.reference}{of}{protocol.features}"


def _pictures(run):
    """{step: (width, height)} of the sample grids."""
    found = {}
    for path in run.samples.glob("*.png"):
        step = int(path.stem) if re.fullmatch("[0-9]{7,18}", path.stem) else None
        size = _png_size(path)
        if step is not None and path.name == _name(step) and size:
            found[step] = size
    return found


def _name(step):
    return f"{step:07d}.png"


def _png_size(path):
    """(width, height) as a PNG's first bytes say it; None if it is none."""
    try:
        if not path.is_file():  # to open a pipe is to wait
            return None
        with path.open("rb") as file:
            head = file.read(24)
    except OSError:
        return None
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", head[16:])
    return (width, height) if 0 < width < 2**31 and 0 < height < 2**31 else None


def _scale(size, large=True):
    """How much a grid is enlarged: a small one to twice its size."""
    return 2 if large and size[0] <= _SMALL else 1


def _image(url, size, alt, scale):
    url, (width, height) = _text(urllib.parse.quote(url)), size
    return (
        f'<a href="{url}"><img src="{url}" width="{width * scale}" height="{height * scale}" '
        f'alt="{_text(alt)}" loading="lazy"></a>\n'
    )


def _text(value):
    """Text as HTML, in content and in attributes; what cannot be shown as an escape."""
    return html.escape(printable(value))
