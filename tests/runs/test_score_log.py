"""Lines of scores.jsonl and metrics.jsonl that do not hold what they should are left out."""

from lsgan_tf.config import Config
from lsgan_tf.runs.run_directory import DataFacts, Run
from lsgan_tf.runs.score_log import Losses, LossLog, read_scores

EXTRACTOR = {"name": "classifier", "sha256": "ab" * 32, "dtype": "float32"}
REFERENCE = {"dataset": "small", "fingerprint": "f00d", "split": "train", "images": 50}
LINE = {
    **{"score": "fid", "title": "FID-4", "value": 1.0, "step": 1, "images": "generated"},
    **{"weights": "ema", "count": 40, "settings": {"seed": 0}},
    **{"extractor": EXTRACTOR, "reference": REFERENCE},
}
WRONG_TYPES = [
    *({"value": value} for value in ("5", True, None, 10**400)),
    *({"score": score} for score in (["fid"], {})),
    *({"title": title} for title in (5, None)),
    *({"step": step} for step in (True, -1, 10**30)),
    *({"images": images} for images in ({}, 5)),
    *({"weights": weights} for weights in (None, 5)),
    *({"count": count} for count in ("40", 5.5)),
    *({"of": of} for of in ("ten", "x")),
    *({"std": std} for std in ("small", [])),
    *({"extractor": extractor} for extractor in ([], {}, "x", {"name": "x"})),
    *({"reference": reference} for reference in (None, [], {"dataset": 5})),
    {"reference": {**REFERENCE, "split": 5}},
    *({"settings": settings} for settings in (5, None)),
]


def _claimed(directory):
    run = Run(directory)
    run.claim(Config(run_dir=str(directory)), DataFacts((8, 8, 1), 50, None, "f00d"))
    return run


def test_scores_of_the_wrong_types_are_left_out(tmp_path):
    run = _claimed(tmp_path / "run")
    run.append_scores([LINE, *(LINE | change for change in WRONG_TYPES)])
    run.append_scores([{"step": 2000}, {"step": None}])
    (score,) = read_scores(run)
    assert (score.name, score.step, score.value) == ("fid", 1, 1.0)


def test_losses_of_the_wrong_types_are_left_out(tmp_path):
    run = _claimed(tmp_path / "run")
    good = {"step": 1000, "d_loss": 0.5, "g_loss": 0.25}
    run.append_metrics(good)
    for change in ({"step": None}, {"step": True}, {"step": 1500, "d_loss": "x"}):
        run.append_metrics(good | {"d_loss": 9.0} | change)
    for change in ({"d_loss": None}, {"g_loss": [1]}, {"g_loss": 10**400}):
        run.append_metrics(good | change)
    assert LossLog(run).at(2000) == Losses(1000, 0.5, 0.25)
