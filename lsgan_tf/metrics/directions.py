"""Which way each score is better, and how it is shown; without TensorFlow, for those who only read
scores."""

# -1 lower, 1 higher. Below the hundredth that real images have of `duplicates` and `repeats`, less
# is no better.
BETTER = {
    "fid": -1,
    "kid": -1,
    "inception_score": 1,
    "precision": 1,
    "recall": 1,
    "density": 1,
    "coverage": 1,
    "duplicates": -1,
    "repeats": -1,
    "classes_covered": 1,
    "class_accuracy": 1,
}
_ARROWS = {-1: "↓", 1: "↑"}


def heading(name, title):
    """The title of a score, with an arrow that shows which way is better."""
    return f"{title} {_ARROWS[BETTER[name]]}" if name in BETTER else title


def spelled(value, *, std=None, of=None):
    """A value, with its deviation or the largest value there can be."""
    if of is not None:
        return f"{value:.10g} of {of}"  # a count, whole
    return f"{value:.4g}" if std is None else f"{value:.4g} ± {std:.2g}"
