"""Rows and lines of results for tests, small enough to know what is to be said of them."""

from lsgan_tf.experiments.results import Line
from lsgan_tf.experiments.row import Cell, Collapse, Expectation, Protocol, Row

PROTOCOL = {
    **{"features": "classifier", "sha256": "ab" * 32, "dtype": "float32", "test_accuracy": 0.9},
    **{"dataset": "digits_shift", "fingerprint": "f00d", "split": "train"},
    **{"real": 50, "generated": 50, "weights": "raw"},
}
TEXT = """
title = "A row"
paper = "ICCV 2017"
where = "table 1"
claim = "One is better than the other."
dataset = "digits_shift"
seeds = 3
steps = 100
expect = [{ better = "one", than = "other" }]

[[cells]]
name = "one"
recipe = "digits_shift"

[[cells]]
name = "other"
recipe = "digits_shift_gan"
published = "66.73"

[protocol]
features = "classifier"
images = 50

[collapse]
ratio = 2.0
"""


def make_row(**changes):
    given = {
        **{"name": "tried", "title": "A row", "paper": "ICCV 2017", "where": "table 1"},
        **{"claim": "One is better.", "dataset": "digits_shift", "seeds": 3, "steps": 100},
        "cells": (Cell("one", "digits_shift"), Cell("other", "digits_shift_gan")),
        "protocol": Protocol("classifier", 50),
        "collapse": Collapse(ratio=2.0),
        "expect": (Expectation(better="one", than="other"),),
    }
    return Row(**{**given, **changes})


def make_line(**changes):
    given = {
        **{"row": "tried", "cell": "one", "recipe": "digits_shift", "flags": "--seed=0"},
        **{"commit": "c0ffee", "seed": 0, "steps": 100, "processor": "A, 1 core"},
        **{"seconds": 60.0, "versions": "python 3", "score": "FID-128", "best": 4.5},
        **{"best_step": 80, "last": 5.0, "last_step": 100, "collapsed_at": None},
        **{"last_scores": {"FID-128": 5.0, "recall": 0.25}, "protocol": PROTOCOL},
        **{"checkpoint_sha256": "cd" * 32, "log": "logs/tried/one-0.jsonl"},
    }
    return Line(**{**given, **changes})


def make_lines(cell, values, **changes):
    return [
        make_line(cell=cell, seed=seed, last=value, best=value, **changes)
        for seed, value in enumerate(values)
    ]
