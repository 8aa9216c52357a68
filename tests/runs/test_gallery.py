"""The page of a run, as a browser would read it: pictures, numbers, commands, nothing hostile."""

import json
import os
import shlex
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest

from lsgan_tf.config import Config
from lsgan_tf.runs import gallery
from lsgan_tf.runs.run_directory import DataFacts, Run
from lsgan_tf.utils.errors import UserError

EXTRACTOR = {"name": "inception-2015", "sha256": "ab" * 32, "dtype": "float32"}
REFERENCE = {"dataset": "small", "fingerprint": "f00d", "split": "train", "images": 5000}
SCORE = {
    "score": "fid",
    "title": "FID-768",
    "value": 12.3456,
    "step": 2000,
    "images": "generated",
    "count": 5000,
    "weights": "ema",
    "extractor": EXTRACTOR,
    "reference": REFERENCE,
    "settings": {"seed": 0},
}
REAL = {"step": None, "images": "real (test)", "weights": None}
HOSTILE = "<script>alert(1)</script>\"'&amp;\x1b[31m\ud800"
VOID = {"meta", "img", "input"}


class _Page(HTMLParser):
    """Reads a page: its elements must nest."""

    def __init__(self, path):
        super().__init__()
        self.open, self.elements, self.images, self.codes, self.cards = [], [], [], [], {}
        self.text, self.titles = "", []
        self._card = None
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.elements.append((tag, attrs))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(attrs)
        if tag == "code":
            self.codes.append("")
        if tag == "article":
            self._card = attrs["id"]
            self.cards[self._card] = ""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "article":
            self._card = None

    def handle_data(self, data):
        if {"style", "script"} & set(self.open):
            return
        self.text += data
        if self.open and self.open[-1] in ("title", "h1"):
            self.titles.append(data)
        if self._card:
            self.cards[self._card] += data
        if self.open and self.open[-1] == "code":
            self.codes[-1] += data


@pytest.fixture
def run(tmp_path):
    return _claimed(tmp_path / "run")


def _claimed(directory, **changes):
    run = Run(directory)
    config = Config(dataset="small", run_dir=str(directory), **changes)
    run.claim(config, DataFacts((8, 8, 1), 50, None, "f00d"))
    return run


def _sample(run, *steps, shape=(20, 30, 1)):
    for step in steps:
        run.write_sample(step, np.zeros(shape, np.uint8))


def _checkpoint(run, *steps):
    for step in steps:
        (run.checkpoints / f"step-{step}.index").touch()


def _read(run):
    assert gallery.write(run) == run.gallery == run.directory / "gallery.html"
    return _Page(run.gallery)


def test_the_head_says_what_the_run_is(run):
    run.write_reals(np.zeros((10, 12, 3), np.uint8))
    page = _read(run)
    assert run.gallery.read_text().startswith('<!DOCTYPE html>\n<html lang="en">')
    assert ("meta", {"charset": "utf-8"}) in page.elements
    assert page.titles == ["run", "run"]  # in the window's bar, and above
    for fact in ("small", "dcgan", "least_squares (a, b, c = 0, 1, 1)", "20,000 steps"):
        assert fact in page.text
    assert "Quality comes and goes" in page.text
    (reals,) = page.images
    assert reals["src"] == "reals.png"
    assert (reals["width"], reals["height"]) == ("24", "20")


def test_a_run_that_has_nothing_yet_has_a_page(run):
    page = _read(run)
    assert "There is none yet." in page.text
    assert not page.images and not page.codes and not page.cards


def test_checkpoints_come_first_each_newest_first(run):
    _sample(run, 0, 500, 1000, 1500, 2000, 12_345_678)
    _checkpoint(run, 1000, 2000)
    page = _read(run)
    steps = [2000, 1000, 12_345_678, 1500, 500, 0]
    assert list(page.cards) == [f"step-{step}" for step in steps]
    assert [image["src"] for image in page.images] == [f"samples/{step:07d}.png" for step in steps]
    for image in page.images:
        assert (run.directory / unquote(image["src"])).is_file()
        assert image["loading"] == "lazy" and image["alt"]
    assert page.text.index("Step 1,000") < page.text.index("Samples of other steps")
    assert page.text.index("Samples of other steps") < page.text.index("Step 12,345,678")


def test_pictures_are_shown_at_most_twice_as_large(run):
    _sample(run, 1000, 3000)
    _sample(run, 2000, shape=(400, 800, 3))
    _checkpoint(run, 1000, 2000)
    sizes = {image["src"][8:15]: (image["width"], image["height"]) for image in _read(run).images}
    assert sizes["0001000"] == ("60", "40")
    assert sizes["0002000"] == ("800", "400")
    assert sizes["0003000"] == ("30", "20")


def test_the_page_needs_nothing_but_the_pictures_beside_it(run):
    run.write_reals(np.zeros((10, 12, 3), np.uint8))
    _sample(run, 1000)
    page = _read(run)
    addresses = {
        attrs[name] for _, attrs in page.elements for name in ("src", "href") if name in attrs
    }
    assert addresses == {"reals.png", "samples/0001000.png"}
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.elements}
    _sample(run, 2000)
    assert [attrs for tag, attrs in _read(run).elements if tag == "script"] == [{}]
    assert "url(" not in run.gallery.read_text() and "@import" not in run.gallery.read_text()


@pytest.mark.parametrize("name", ["run", "a b's $HOME;rm", "<b>&quot;", "名 前"])
def test_commands_name_the_run_as_it_was_given_for_a_shell(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    run = _claimed(f"runs/{name}")
    _sample(run, 1000, 2000)
    _checkpoint(run, 2000)
    page = _read(run)
    assert [shlex.split(code) for code in page.codes] == [
        ["python", "-m", f"lsgan_tf.{command}", f"--run_dir=runs/{name}", "--checkpoint=2000"]
        for command in ("sample", "export")
    ]
    assert name in page.text


def test_a_run_in_the_current_directory_has_its_name(run, monkeypatch):
    monkeypatch.chdir(run.directory)
    assert _read(Run(".")).titles == ["run", "run"]


def test_losses_are_the_last_that_were_logged(run):
    _sample(run, 0, 1000, 1500)
    run.append_metrics({"step": 900, "d_loss": 0.5, "g_loss": 0.25})
    run.append_metrics({"step": 1000, "d_loss": 0.125, "g_loss": 0.0625, "d_real": 1})
    run.append_metrics({"step": 1000, "scores": {"fid": 5.0}})
    run.append_metrics({"step": 1400, "d_loss": float("nan"), "g_loss": float("-inf")})
    cards = _read(run).cards
    assert "loss" not in cards["step-0"]
    assert "d_loss 0.125, g_loss 0.0625" in cards["step-1000"]
    assert "(step" not in cards["step-1000"]
    assert "d_loss nan, g_loss -inf (step 1,400)" in cards["step-1500"]


def test_scores_stand_with_their_protocol(run):
    _sample(run, 1000, 2000)
    run.append_scores(
        [
            SCORE,
            {**SCORE, "score": "kid", "title": "KID", "value": 0.5, "std": 0.125},
            {**SCORE, "score": "classes_covered", "title": "classes", "value": 7, "of": 10},
            {**SCORE, "value": 99.5, "count": 10},
            {**SCORE, "value": 77.5, "weights": "raw", "generator_dtype": "mixed_bfloat16"},
        ]
    )
    card = _read(run).cards["step-2000"]
    for shown in ("FID-768 ↓ 12.35", "KID ↓ 0.5 ± 0.12", "classes ↑ 7 of 10", "99.5", "77.5"):
        assert shown in card
    features = "inception-2015, float32"
    assert f"5,000 generated vs 5,000 of train, EMA weights, {features}" in card
    assert f"10 generated vs 5,000 of train, EMA weights, {features}" in card
    assert f"5,000 generated vs 5,000 of train, raw, mixed_bfloat16 weights, {features}" in card
    assert "FID" not in _read(run).cards["step-1000"]


def test_the_latest_of_a_score_counts(run):
    _sample(run, 2000)
    run.append_scores([SCORE, {**SCORE, "value": 8.5, "time": 2}])
    card = _read(run).cards["step-2000"]
    assert "8.5" in card and "12.35" not in card


def test_the_floor_is_in_the_head(run):
    assert "floor" not in _read(run).text
    _sample(run, 2000)
    run.append_scores([{**SCORE, **REAL, "value": 3.25}])
    page = _read(run)
    assert page.text.index("FID-768 ↓ 3.25") < page.text.index("Checkpoints")
    assert "5,000 real (test) vs 5,000 of train, inception-2015, float32" in page.text
    assert "FID" not in page.cards["step-2000"]


def test_all_samples_are_on_the_timeline(run):
    _sample(run, 1000)
    assert "Timeline" not in _read(run).text
    _sample(run, 0, 2000)
    _checkpoint(run, 2000)
    page = _read(run)
    (timeline,) = [attrs for _, attrs in page.elements if attrs.get("id") == "timeline"]
    assert "hidden" in timeline  # until a script shows it
    assert {"open": None} in [attrs for tag, attrs in page.elements if tag == "details"]
    steps = [attrs["data-step"] for tag, attrs in page.elements if tag == "article"]
    assert steps == ["2000", "1000", "0"]
    assert all(image["src"] for image in page.images)


def test_curves_of_losses_and_scores_are_drawn(run):
    run.append_metrics({"step": 1000, "d_loss": 0.5, "g_loss": 0.25})
    assert "Curves" not in _read(run).text
    run.append_metrics({"step": 4000, "d_loss": 0.25, "g_loss": float("nan")})
    run.append_scores([SCORE, {**SCORE, "step": 4000, "value": 8.5}, {**SCORE, **REAL, "value": 3}])
    page = _read(run)
    charts = [attrs["aria-label"] for _, attrs in page.elements if attrs.get("role") == "img"]
    assert charts == ["Losses by step", "FID-768 ↓ by step"]
    lines = [attrs["points"].split() for tag, attrs in page.elements if tag == "polyline"]
    assert [[point.split(",")[0] for point in line] for line in lines] == [
        ["75.0", "300.0"],  # of 300 units
        ["75.0"],
        ["150.0", "300.0"],
    ]
    for shown in ("optimum of d_loss: 0.25", "optimum of g_loss: 0.125", "real (test): 3"):
        assert shown in page.text
    assert "5,000 generated vs 5,000 of train, inception-2015, float32" in page.text


def test_the_best_checkpoint_is_marked(run):
    _sample(run, 1000, 2000, 3000)
    _checkpoint(run, 1000, 2000)
    best = '{"step": %d, "score": "fid", "value": 8.125, "protocol": "f00d"}'
    (run.directory / "best.json").write_text(best % 1000)
    page = _read(run)
    marked = [attrs["id"] for tag, attrs in page.elements if "best" in attrs.get("class", "")]
    assert marked == ["step-1000"]
    assert "best fid: 8.125" in page.cards["step-1000"]
    for other in (best % 3000, "{", "[]", '{"step": "x"}'):  # its checkpoint is gone; damage
        (run.directory / "best.json").write_text(other)
        assert "best fid" not in _read(run).text


def test_a_checkpoint_without_a_picture_has_a_card(run):
    _checkpoint(run, 700)
    page = _read(run)
    assert list(page.cards) == ["step-700"] and not page.images and len(page.codes) == 2


def test_only_sample_grids_are_listed(run):
    _sample(run, 1000)
    png = (run.samples / "0001000.png").read_bytes()
    for name in ("1000.png", "00002000.png", "0003000.PNG", "0003000.png.png", "<b>.png", "x.png"):
        (run.samples / name).write_bytes(png)
    (run.samples / "٠٠٠٤٠٠٠.png").write_bytes(png)
    (run.samples / "0005000.png").write_bytes(b"<html>")
    (run.samples / "0006000.png").write_bytes(png[:20])
    (run.samples / "0007000.png").write_bytes(png[:16] + bytes(8) + png[24:])
    (run.samples / "0008000.png").mkdir()
    (run.samples / "0009000.png").symlink_to("nowhere")
    os.mkfifo(run.samples / "0010000.png")
    assert list(_read(run).cards) == ["step-1000"]


def test_names_from_files_are_only_text(tmp_path):
    run = _claimed(tmp_path / "<i>run", network=HOSTILE[:-1])
    _sample(run, 2000)
    _checkpoint(run, 2000)
    texts = {"title": HOSTILE, "images": HOSTILE, "weights": HOSTILE, "score": HOSTILE}
    extractor = {**EXTRACTOR, "name": HOSTILE, "dtype": HOSTILE}
    reference = {**REFERENCE, "split": HOSTILE}
    line = {**SCORE, **texts, "extractor": extractor, "reference": reference}
    run.scores.write_text(json.dumps(line))
    best = {"step": 2000, "score": HOSTILE, "value": float("nan"), "protocol": ""}
    (run.directory / "best.json").write_text(json.dumps(best))
    another = {**line, "step": 1000}
    with run.scores.open("a") as file:
        file.write(f"\n{json.dumps(another)}\n{json.dumps({**line, **REAL, 'images': HOSTILE})}")
    page = _read(run)
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "i"})  # of one sample: no own
    assert any(attrs.get("aria-label", "").startswith("<script>") for _, attrs in page.elements)
    shown = "<script>alert(1)</script>\"'&amp;\\x1b[31m\\ud800"
    assert page.cards["step-2000"].count(shown) == 7
    assert f"best {shown}: nan" in page.cards["step-2000"]
    assert "<i>run" in page.text


def test_numbers_that_are_not_finite_are_text(run):
    _sample(run, 2000)
    run.append_scores([{**SCORE, "value": float("nan")}, {**SCORE, "score": "x", "value": 1e999}])
    card = _read(run).cards["step-2000"]
    assert "FID-768 ↓ nan" in card and "FID-768 inf" in card


def test_the_page_is_written_anew(run):
    _sample(run, 1000)
    run.gallery.write_text("an earlier one")
    assert list(_read(run).cards) == ["step-1000"]
    (run.samples / "0001000.png").unlink()
    _sample(run, 2000)
    assert list(_read(run).cards) == ["step-2000"]
    assert not list(run.directory.glob(".gallery*"))


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="not a run directory"):
        gallery.write(Run(tmp_path))
    assert not list(tmp_path.iterdir())
