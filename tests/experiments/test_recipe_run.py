"""A run of a recipe from its commands to its line; the commands are played here."""

import pytest

from lsgan_tf.config import Config
from lsgan_tf.experiments import jobs, recipe_run
from lsgan_tf.experiments.jobs import Places
from lsgan_tf.experiments.row import Protocol
from lsgan_tf.runs.run_directory import DataFacts, Run
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.signals import StopRequest
from tests.experiments.evidence import make_row


def _score(name, title, value, step, features="classifier of small", count=50):
    return {
        **{"score": name, "title": title, "value": value, "step": step, "weights": "raw"},
        **{"count": count, "extractor": {"name": features, "sha256": "ab", "dtype": "float32"}},
        **{"images": "generated", "settings": {}},
        "reference": {"dataset": "small", "split": "train", "images": 50, "fingerprint": "f00d"},
    }


class Played:
    """Trains to some steps and scores them by a table."""

    def __init__(self, fids, until=100, error=None):
        self.fids, self.until, self.error, self.calls = fids, until, error, []

    def __call__(self, module, arguments, log, stop):
        self.calls.append((module, arguments))
        run = Run(next(a for a in arguments if a.startswith("--run_dir=")).split("=")[1])
        if module == "train":
            run.claim(Config(batch_size=4), DataFacts((8, 8, 1), 50, None, "f00d"))
            for step in range(20, self.until + 1, 20):
                (run.checkpoints / f"step-{step}.index").write_text(f"{step}")
                (run.checkpoints / f"step-{step}.data-0").write_text("weights")
                run.append_metrics({"step": step, "d_loss": 1.0, "images_per_second": 8.0})
            if self.error:
                raise UserError(self.error)
            return
        (checkpoint,) = (a.split("=")[1] for a in arguments if a.startswith("--checkpoint="))
        other = "--features=inception_768" in arguments
        names = {"features": "x/inception_768", "count": 20} if other else {}
        for step in self.fids if checkpoint == "all" else [int(checkpoint)]:
            title = "FID-768" if other else "FID-128"
            run.append_scores([_score("fid", title, self.fids[step], step, **names)])
            run.append_scores([_score("recall", "recall", 0.01 * step, step, **names)])


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Plays a run of a row of five scored steps and returns its line."""

    def run(played, **changes):
        monkeypatch.setattr(recipe_run.processes, "run", played)
        monkeypatch.setattr(recipe_run.machine, "processor", lambda: "A, 1 core")
        row = make_row(**changes)
        (job, *_) = jobs.of_row(row, 1, 100, tmp_path / "runs")
        places = Places(tmp_path / "data", tmp_path / "runs", tmp_path / "docs" / "results.csv")
        (line,) = recipe_run.run(job, places, StopRequest())
        return job, line

    return run


FIDS = {20: 9.0, 40: 4.0, 60: 5.0, 80: 6.0, 100: 7.0}


def test_a_line_has_the_best_and_the_last_score(play):
    played = Played(FIDS)
    job, line = play(played)
    assert (line.best, line.best_step, line.last, line.last_step) == (4.0, 40, 7.0, 100)
    assert line.collapsed_at is None and line.last_scores == {"FID-128": 7.0, "recall": 1.0}
    assert line.seconds == 100 * 4 / 8.0
    assert [module for module, _ in played.calls] == ["train", "evaluate"]
    recipe_run.tidy(job)
    assert sorted(path.name for path in Run(job.directory).checkpoints.iterdir()) == [
        "step-100.data-0",
        "step-100.index",
    ]
    again = Played(FIDS)
    assert play(again)[1] == line and again.calls == []  # a line that was lost costs nothing


def test_what_is_scored_already_is_not_scored_again(play):
    job, line = play(Played(FIDS))
    scores = Run(job.directory).scores
    kept = [text for text in scores.read_text().splitlines(True) if '"step": 60' not in text]
    scores.write_text("".join(kept))
    played = Played(FIDS)
    assert play(played)[1] == line
    assert [arguments[-1] for _, arguments in played.calls] == ["--checkpoint=60"]


def test_a_collapse_is_dated(play):
    _, line = play(Played({**FIDS, 80: 8.1, 100: 20.0}))
    assert line.collapsed_at == 80


def test_a_run_that_diverges_counts_as_collapsed(play):
    error = "lsgan_tf.train failed: d_loss became NaN or infinite between step 61 and 80."
    job, line = play(Played(dict(list(FIDS.items())[:3]), until=60, error=error))
    assert (line.last, line.last_step, line.collapsed_at, line.steps) == (5.0, 60, 60, 100)
    recipe_run.tidy(job)
    assert Run(job.directory).checkpoints.joinpath("step-60.index").exists()


def test_a_run_that_diverges_at_once_has_no_line(play):
    error = "d_loss became NaN or infinite between step 1 and 1."
    with pytest.raises(UserError, match="has no checkpoint to score; see .*one-0.log"):
        play(Played({}, until=0, error=error))


def test_other_errors_are_not_taken_for_a_divergence(play):
    with pytest.raises(UserError, match="no space left"):
        play(Played(FIDS, error="no space left"))


def test_a_second_network_scores_the_last_checkpoint(play):
    played = Played(FIDS)
    _, line = play(played, also=Protocol("inception_768", 20), score="recall")
    assert line.last_scores == {"FID-768": 7.0, "recall": 1.0, "FID-128": 7.0}
    assert line.protocol["also"]["features"] == "inception_768"
    assert line.protocol["also"]["generated"] == 20 and line.score == "recall"
    assert played.calls[-1][1][-1] == "--checkpoint=100" and len(played.calls) == 3
    again = Played(FIDS)
    assert play(again, also=Protocol("inception_768", 20), score="recall")[1] == line
    assert again.calls == []
