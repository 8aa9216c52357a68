"""The page of a run in Chromium: the timeline, narrow, dark, long, and without a script."""

import numpy as np
import pytest

from lsgan_tf.config import Config
from lsgan_tf.runs import gallery
from lsgan_tf.runs.run_directory import DataFacts, Run

pytestmark = pytest.mark.browser

SECONDS = 60  # for anything on a busy machine
DARK = 60  # of 255: no channel of a dark page's ground is above
STEPS = 500
NOW = "#timeline .picture img"


@pytest.fixture
def open_page(browser, run):
    """Opens the page of the run; at the end it has asked for nothing but files, without errors."""
    contexts, asked, errors = [], [], []

    def open_page(of=run, **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(SECONDS * 1000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(error))
        page.goto(of.gallery.as_uri())
        return page

    open_page.asked = asked
    yield open_page
    for context in contexts:
        context.close()
    assert all(url.startswith("file://") for url in asked) and not errors


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 500 sample grids, every second one of which is scored, with a hostile name."""
    directory = tmp_path_factory.mktemp("runs") / "<b>a run's #1"
    run = Run(directory)
    run.claim(Config(dataset="small", run_dir=str(directory)), DataFacts((8, 8, 1), 9, None, "f"))
    extractor = {"name": "inception-2015", "dtype": "float32"}
    reference = {"dataset": "small", "split": "train", "images": 50}
    line = {"score": "fid", "title": "FID-768", "images": "generated", "count": 50}
    line |= {"weights": "ema", "extractor": extractor, "reference": reference, "settings": {}}
    noise = np.random.default_rng(0).integers(0, 256, (128, 256, 3), np.uint8)
    for step in range(STEPS):
        run.write_sample(step, noise)
    (run.checkpoints / f"step-{STEPS - 1}.index").touch()
    with run.metrics.open("w") as metrics:
        metrics.writelines(
            f'{{"step": {step}, "d_loss": {1 / (step + 1)}, "g_loss": 0.5}}\n'
            for step in range(1, STEPS)
        )
    run.append_scores({**line, "step": step, "value": 1000.0 - step} for step in range(0, STEPS, 2))
    run.append_scores([{**line, "step": None, "images": "real (test)", "value": 2.5}])
    gallery.write(run)
    return run


def _shown(page):
    """The step on the timeline."""
    picture = page.locator(NOW)
    step = int(picture.get_attribute("src").removeprefix("samples/").removesuffix(".png"))
    assert page.locator("#timeline h3").inner_text() == f"Step {step:,}"
    page.wait_for_function(f"document.querySelector('{NOW}').naturalWidth === 256")
    return step


def test_the_timeline_moves_the_picture(open_page):
    page = open_page()
    assert _shown(page) == STEPS - 1
    assert "--checkpoint=499" in page.locator("#timeline").inner_text()
    for key, step in (("ArrowLeft", 498), ("ArrowLeft", 497), ("ArrowRight", 498)):
        page.keyboard.press(key)  # anywhere on the page
        assert _shown(page) == step
    facts = page.locator("#timeline .facts").first.inner_text()
    assert "502" in facts and "d_loss 0.002" in facts and "--checkpoint" not in facts
    slider = page.get_by_label("step", exact=True)
    slider.focus()
    for key, step in (("Home", 0), ("ArrowLeft", 0), ("ArrowRight", 1), ("End", STEPS - 1)):
        page.keyboard.press(key)
        assert _shown(page) == step
    slider.fill("250")
    assert _shown(page) == 250 and slider.get_attribute("aria-valuetext") == "step 250"
    frame = page.locator(".frame rect").first
    box = frame.bounding_box()
    frame.click(position={"x": box["width"] / 4, "y": box["height"] / 2}, force=True)
    assert abs(_shown(page) - STEPS / 4) <= 2
    cursor = page.locator(".cursor").first.bounding_box()
    assert cursor["x"] == pytest.approx(box["x"] + box["width"] / 4, abs=2)


def test_a_long_run_opens_at_once(open_page):
    page = open_page()
    _shown(page)
    loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert 0 < loaded < 2000  # milliseconds since it was asked for
    assert len({url for url in open_page.asked if url.endswith(".png")}) < 10  # the others wait
    page.get_by_text("Samples of other steps").click()
    assert page.locator("details article").count() == STEPS - 1


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_it_is_readable_narrow_and_dark(open_page, scheme):
    page = open_page(viewport={"width": 360, "height": 640}, color_scheme=scheme)
    _shown(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator(NOW).bounding_box()["width"] <= 360
    colour = "(name, node) => getComputedStyle(node)[name].match(/\\d+/g).slice(0, 3).map(Number)"
    ground, ink = (
        page.locator("body").evaluate(f"node => ({colour})('{name}', node)")
        for name in ("backgroundColor", "color")
    )
    assert (max(ground) < DARK) == (scheme == "dark")
    assert abs(np.mean(ground) - np.mean(ink)) > 150
    for chart in page.locator(".chart > svg").all():
        (size,) = {float(chart.evaluate("node => node.getScreenCTM().a * 11"))}
        assert size >= 8  # pixels of the numbers beside the curves


def test_without_a_script_it_is_a_list(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator("#timeline").is_hidden()
    assert page.locator("article").count() == STEPS
    assert page.get_by_text("Step 250", exact=True).is_visible()
    assert page.locator(".chart").count() == 2 and page.locator(".chart").first.is_visible()
    assert page.locator("h1").inner_text() == "<b>a run's #1"


def test_samples_alone_have_a_timeline(open_page, tmp_path):
    run = Run(tmp_path / "run")
    run.claim(
        Config(dataset="small", run_dir=str(tmp_path / "run")), DataFacts((8, 8, 1), 9, None, "f")
    )
    for step, width in ((5, 256), (1000, 200)):
        run.write_sample(step, np.zeros((40, width, 1), np.uint8))
    gallery.write(run)
    page = open_page(run)
    assert page.locator("#timeline h3").inner_text() == "Step 1,000"
    page.keyboard.press("ArrowLeft")
    assert _shown(page) == 5 and page.locator(NOW).get_attribute("width") == "256"
