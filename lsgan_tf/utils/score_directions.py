"""Which way each score is better: one table for the flags and for the metrics."""

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
# Scores whose best value is not the best checkpoint's: `density` exceeds 1 where generated images
# crowd around a few real ones, `duplicates` and `repeats` have a floor (above), `classes_covered`
# is the same for most checkpoints.
_NOT_FOR_THE_BEST = ("density", "duplicates", "repeats", "classes_covered")
# Scores that the best checkpoint of a run may be chosen by.
BEST_SCORES = tuple(name for name in BETTER if name not in _NOT_FOR_THE_BEST)
