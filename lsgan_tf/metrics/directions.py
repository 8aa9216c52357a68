"""How a score and its direction are shown; without TensorFlow, for those who only read scores."""

from lsgan_tf.utils.score_directions import BETTER

_ARROWS = {-1: "↓", 1: "↑"}


def heading(name, title):
    """The title of a score, with an arrow that shows which way is better."""
    return f"{title} {_ARROWS[BETTER[name]]}" if name in BETTER else title


def spelled(value, *, std=None, of=None):
    """A value, with its deviation or the largest value there can be."""
    if of is not None:
        return f"{value:.10g} of {of}"  # a count, whole
    return f"{value:.4g}" if std is None else f"{value:.4g} ± {std:.2g}"
