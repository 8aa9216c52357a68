"""Which way each score is better, and how a score is shown: for the flags, metrics and pages."""

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
    "class_recall": 1,
    "class_coverage": 1,
}
# Scores whose best value is not the best checkpoint's: `density` exceeds 1 where generated images
# crowd around a few real ones, `duplicates` and `repeats` have a floor (above), `classes_covered`
# is the same for most checkpoints. Those within classes are of labelled sets alone.
_NOT_FOR_THE_BEST = (
    *("density", "duplicates", "repeats", "classes_covered"),
    *("class_recall", "class_coverage"),
)
# Scores that the best checkpoint of a run may be chosen by.
BEST_SCORES = tuple(name for name in BETTER if name not in _NOT_FOR_THE_BEST)
_ARROWS = {-1: "↓", 1: "↑"}


def heading(name: str, title: str) -> str:
    """The title of a score, with an arrow that shows which way is better."""
    return f"{title} {_ARROWS[BETTER[name]]}" if name in BETTER else title


def format_score(value: float, *, std: float | None = None, of: int | None = None) -> str:
    """A value, with its standard deviation or its maximum."""
    if of is not None:
        return f"{value:.10g} of {of}"  # a count, whole
    return f"{value:.4g}" if std is None else f"{value:.4g} ± {std:.2g}"
