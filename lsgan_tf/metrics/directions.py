"""Which way each score is better; without TensorFlow, for those who only read scores."""

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
    "modes": 1,
    "modes_within_0_1": 1,
    "within_0_1": 1,
}
