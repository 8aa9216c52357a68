"""results.md and its figures are made of the rows, the csv and the thinned logs alone."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from lsgan_tf.config import Config
from lsgan_tf.experiments import report, results, row, thinned_log
from lsgan_tf.runs.run_directory import DataFacts, Run
from lsgan_tf.utils.errors import UserError
from tests.experiments.evidence import PROTOCOL, TEXT, make_line, make_lines


@pytest.fixture
def path(tmp_path, monkeypatch):
    """results.csv of a row of two cells and one that was not run."""
    rows = tmp_path / "rows"
    rows.mkdir()
    monkeypatch.setattr(row, "ROWS", rows)
    (rows / "tried.toml").write_text(TEXT.replace("steps = 100", 'steps = 100\nshow = ["recall"]'))
    (rows / "waiting.toml").write_text(TEXT)
    csv = tmp_path / "docs" / "results.csv"
    lines = make_lines("one", [5.0, 5.1, 5.2]) + make_lines("other", [9.0, 9.1])
    results.append(csv, [*lines, make_line(cell="other", seed=2, last=9.2, collapsed_at=60)])
    log = csv.parent / "logs" / "tried" / "one-0.jsonl"
    log.parent.mkdir(parents=True)
    scores = [{"step": step, "scores": {"FID-128": 50.0 / step}} for step in (10, 5)]
    log.write_text("".join(json.dumps(line) + "\n" for line in [{"flags": []}, *scores]))
    return csv


def test_the_page_and_the_figure(path):
    assert report.write(path) == [
        path.parent / "results" / "tried.png",
        path.parent / "results.md",
    ]
    text = (path.parent / "results.md").read_text()
    lines = text.splitlines()
    summary = "| [{}](#{}) | ICCV 2017, table 1 | One is better than the other. | {} | {} |"
    assert summary.format("tried", "tried", 6, "supported here") in lines
    assert summary.format("waiting", "waiting", 0, "not run here") in lines
    assert (
        "| one | `digits_shift` | 100 | 3 "
        "| 5.10 ± 0.10 [4.85 to 5.35] | 5.10 ± 0.10 [4.85 to 5.35] "
        "| 80 | 0.25 | 0 of 3 [0 to 0.562] |  |"
    ) in lines
    (other,) = (line for line in lines if line.startswith("| other |"))
    assert other.endswith("| 1 of 3 [0.0615 to 0.792], from step 60 | 66.73 |")
    assert "one (5.1) is better than other (9.1), by 3.8 to 4.2." in text
    assert "50 images of raw weights against 50 of digits_shift train" in text
    assert "![tried](results/tried.png)" in text and "results/waiting.png" not in text
    assert Image.open(path.parent / "results" / "tried.png").width == 800


def test_the_weights_of_each_cell_are_named_where_they_differ(tmp_path, path):
    csv = tmp_path / "again" / "results.csv"
    averaged = {**PROTOCOL, "weights": "ema"}
    results.append(csv, make_lines("one", [5.0]) + make_lines("other", [9.0], protocol=averaged))
    shutil.copytree(path.parent / "logs", csv.parent / "logs")
    report.write(csv)
    text = (csv.parent / "results.md").read_text()
    assert "50 images of raw weights (one) and ema weights (other) against" in text


def test_the_page_is_the_same_each_time(path):
    written = report.write(path)
    before = [file.read_bytes() for file in written]
    report.write(path)
    assert [file.read_bytes() for file in written] == before


def test_runs_of_another_length_stand_apart(path):
    results.append(path, make_lines("one", [50.0], steps=7))
    report.write(path)
    text = (path.parent / "results.md").read_text()
    assert "| one | `digits_shift` | 7 | 1 | 50 | 50 |" in text
    assert "| One is better than the other. | 6 | supported here |" in text


def test_a_damaged_log_is_named(path):
    log = path.parent / "logs" / "tried" / "one-0.jsonl"
    log.write_text('{"step": 1, "scores"')
    with pytest.raises(UserError, match="one-0.jsonl is damaged: .* Restore it from the history"):
        report.write(path)


def test_a_raw_log_is_thinned_to_a_few_kilobytes(tmp_path):
    run = Run(tmp_path / "run")
    run.claim(Config(run_dir="run", data_dir="/mine"), DataFacts((8, 8, 1), 50, None, "f00d"))
    for step in range(10, 10_001, 10):
        run.append_metrics({"step": step, "d_loss": 1 / 3, "g_loss": 0.5, "time": 1.0})
    score = {"title": "FID-4", "value": 1 / 3, "extractor": {"name": "classifier of small"}}
    run.append_scores([{**score, "step": step} for step in (5000, 10_000)])
    path = tmp_path / "logs" / "run.jsonl"
    thinned_log.write(path, run)
    first, *records = map(json.loads, path.read_text().splitlines())
    assert "--seed=0" in first["flags"] and "/mine" not in path.read_text()
    losses = [record for record in records if "d_loss" in record]
    assert 20 <= len(losses) <= 40 and losses[-1]["step"] == 10_000
    assert losses[0] == {"step": losses[0]["step"], "d_loss": 0.3333, "g_loss": 0.5}
    assert thinned_log.read_scores(path, "FID-4") == [(5000, 1 / 3), (10_000, 1 / 3)]
    assert path.stat().st_size < 5000


def test_the_page_in_the_docs_is_what_the_report_writes(tmp_path):
    docs = Path(__file__).resolve().parents[2] / "docs"
    shutil.copy(docs / "results.csv", tmp_path)
    if (docs / "logs").is_dir():
        shutil.copytree(docs / "logs", tmp_path / "logs")
    report.write(tmp_path / "results.csv")
    assert (tmp_path / "results.md").read_text() == (docs / "results.md").read_text()
    for line in results.read(docs / "results.csv"):
        assert (docs / line.log).is_file(), f"{line.run} has no log"
