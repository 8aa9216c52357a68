"""`python -m lsgan_tf.demo` and the Space: the page in Chromium, against the sampler's pictures."""

import importlib.metadata
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsgan_tf import demo
from lsgan_tf.inference import exports, formats, load, sampler, serving
from lsgan_tf.inference.explorer import Explorer, Latents
from lsgan_tf.utils.errors import UserError
from tests.commands import command_line, run_command, run_main

SECONDS = 300  # for anything on a busy machine


@pytest.fixture(scope="module")
def run_dir(trained_once):
    """Of a network that other processes have as well, by three labels, with averaged weights."""
    flags = {"dataset": "small", "network": "light", "conditional": True, "ema_decay": 0.5}
    return trained_once(penalty="none", **flags).run_dir


def test_what_is_missing_is_told_in_a_sentence(trained_copy, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="is not a run directory"):
        run_main(demo, run_dir=str(tmp_path))
    config = trained_copy()
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UserError, match="The demo needs gradio: .* -m pip install gradio$"):
        run_main(demo, run_dir=config.run_dir)
    with pytest.raises(UserError, match="=space needs gradio, .* -m pip install gradio$"):
        formats.check(["space"])
    shutil.rmtree(Path(config.run_dir) / "checkpoints")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    with pytest.raises(UserError, match="There is no checkpoint in .* yet"):
        run_main(demo, run_dir=config.run_dir, port=_free_port())


@pytest.fixture
def space_dir(run_dir, tmp_path, monkeypatch):
    version = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "6.31.0" if name == "gradio" else version(name)
    )
    exports.write(load.load(run_dir), tmp_path / "export", 1, ["space"])
    return tmp_path / "export" / "space-1"


OF_SPACE = """
import sys
import numpy as np
import app
import lsgan_tf
assert lsgan_tf.__file__.startswith(sys.argv[1])
model = app._of_space().open()
assert model.class_names == ("a", "b", "c")
np.save(sys.argv[2], model.pictures(model.draw(5, 7)))
"""


def test_a_space_is_complete(space_dir, run_dir, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    drawn = [sys.executable, "-c", OF_SPACE, str(space_dir), str(tmp_path / "drawn.npy")]
    subprocess.run(drawn, cwd=space_dir, env=environment, check=True)
    generator = load.load(run_dir).generator
    labels = np.arange(5) % 3
    expected = sampler.Sampler(generator)(sampler.draw_latents(generator, 5, seed=7), labels)
    assert _differ(np.load(tmp_path / "drawn.npy"), expected) <= 1
    card = (space_dir / "README.md").read_text()
    assert card.startswith('---\ntitle: "run"\nsdk: gradio\nsdk_version: 6.31.0\n')
    assert (space_dir / "requirements.txt").read_text().startswith("gradio==6.31.0\ntensorflow==2.")
    assert "space-1" in (space_dir.parent / "model_card.md").read_text()


def _differ(pictures, expected):
    return np.abs(pictures.astype(int) - expected).max()


class _Page:
    """The page in a browser; what it shows is waited for."""

    def __init__(self, page):
        self.page = page

    def pictures(self, name):
        """What an element shows, uint8 [N, H, W, 1]."""
        urls = self.page.locator(f"#{name} img").evaluate_all("all => all.map(one => one.src)")
        bodies = [self.page.request.get(url).body() for url in urls]
        return np.array([np.asarray(Image.open(io.BytesIO(body))) for body in bodies])[..., None]

    def check(self, name, expected):
        """Waits until an element shows these pictures."""
        self.until(lambda: self.pictures(name).shape == expected.shape)
        self.until(lambda: _differ(self.pictures(name), expected) <= 1)

    def check_message(self, text):
        self.until(lambda: text in " ".join(self.page.locator(".toast-body").all_inner_texts()))

    def until(self, condition):
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.2)

    def click(self, text):
        self.page.get_by_role("button", name=text, exact=True).click()

    def fill(self, label, value):
        self.page.get_by_label(label, exact=True).fill(str(value))

    def choose(self, label, option):
        self.page.get_by_label(label, exact=True).click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def click_picture(self, name, index):
        self.page.locator(f"#{name} img").nth(index).click()


@pytest.fixture
def open_page(browser):
    """Opens an address in Chromium; at the end nothing has been asked of another one."""
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))

    def open_address(address):
        page.set_default_timeout(SECONDS * 1000)
        page.goto(address)
        return _Page(page)

    yield open_address
    assert not [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:"))]
    page.close()


@pytest.fixture
def serve(tmp_path):
    """Starts a command whose last argument is a port; it ends by SIGINT, without a traceback."""
    pytest.importorskip("gradio", reason="pip install gradio")
    processes, log = [], tmp_path / "log"

    def start(command, **options):
        with open(log, "wb") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, **options)
        processes.append(process)
        end = time.monotonic() + SECONDS
        while "Ctrl-C ends it" not in log.read_text():
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.2)

    yield start
    for process in processes:
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 0
    assert "Traceback" not in log.read_text()


def _free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.mark.browser
def test_buttons_show_what_the_sampler_draws(run_dir, serve, open_page, tmp_path):
    port = _free_port()
    command = "demo", f"--run_dir={run_dir}", f"--port={port}"
    serve(command_line(*command))
    again = run_command(*command)
    assert again.returncode == 1 and "Address already in use" in again.stderr
    assert "Choose another --port" in again.stderr
    page = open_page(f"http://127.0.0.1:{port}")

    def draw(seed, labels, truncation=1.0, **which):
        generator = load.load(run_dir, **which).generator
        z = sampler.draw_latents(generator, len(labels), seed) * np.float32(truncation)
        return z, sampler.Sampler(generator)(z, labels)

    in_turn = np.arange(12) % 3
    z, grid = draw(0, in_turn)
    page.check("grid", grid)
    page.click_picture("grid", 4)
    page.check("kept", grid[[4]])
    page.click_picture("grid", 2)
    page.check("kept", grid[[4, 2]])
    page.check("chosen", grid[[2]])

    trained = load.load(run_dir)
    model = Explorer(serving.Server(trained.generator, trained.class_names).signatures())
    moved = model.move(Latents(z[[2]], in_turn[[2]]), [0, -3.0])
    expected = sampler.Sampler(trained.generator)(moved.z, moved.labels)
    page.fill("range slider for 2", -3)
    page.check("chosen", expected)
    page.click("Keep as changed")
    page.check("kept", np.concatenate([grid[[4, 2]], expected]))

    page.click("Walk, and files to download")
    links = page.page.locator("#files a")
    page.until(lambda: links.count() == 3)
    for link in links.all():
        with page.page.expect_download() as download:
            link.click()
        download.value.save_as(tmp_path / download.value.suggested_filename)
    with np.load(tmp_path / "latents.npz") as stored:
        np.testing.assert_allclose(stored["latents"], [z[4], z[2], moved.z[0]], atol=1e-6)
        assert stored["labels"].tolist() == [1, 2, 2]
    assert Image.open(tmp_path / "walk.gif").n_frames > 2
    assert Image.open(tmp_path / "pictures.png").size == (92, 32)

    page.fill("Seed", 7)
    page.fill("number input for Truncation", 0.5)
    page.fill("number input for Pictures", 3)
    page.choose("Class", "b")
    page.check("grid", draw(7, [1] * 3, 0.5)[1])
    page.choose("Weights", "raw")
    page.choose("Checkpoint", "8")
    page.check("grid", draw(7, [1] * 3, 0.5, weights="raw", checkpoint="8")[1])
    page.check("kept", sampler.Sampler(load.load(run_dir, weights="raw", checkpoint="8").generator)(
        np.concatenate([z[[4, 2]], moved.z]), [1, 2, 2]))  # fmt: skip
    page.click("Others")
    page.check("grid", draw(8, [1] * 3, 0.5, weights="raw", checkpoint="8")[1])

    for label, value, good, message in (
        ("Seed", -5, 9, "The seed must be a whole number from 0"),
        ("number input for Pictures", 1000, 3, "The number of pictures must be"),
        ("number input for Truncation", 7, 1, "Truncation must be a number from 0.0 to 1.0"),
    ):
        page.fill(label, value)
        page.check_message(message)
        page.fill(label, good)
    for left in (2, 1, 0):
        page.click("Remove")
        page.until(lambda left=left: page.page.locator("#kept img").count() == left)
    page.click("Walk, and files to download")
    page.check_message("Keep a picture first")


@pytest.mark.browser
def test_a_space_shows_the_page(space_dir, run_dir, serve, open_page, tmp_path):
    port = _free_port()
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port)}
    environment.pop("PYTHONPATH", None)
    serve([sys.executable, str(space_dir / "app.py")], cwd=tmp_path, env=environment)
    page = open_page(f"http://127.0.0.1:{port}")
    generator = load.load(run_dir).generator
    labels = np.arange(12) % 3
    grid = sampler.Sampler(generator)(sampler.draw_latents(generator, 12, seed=0), labels)
    page.check("grid", grid)
    page.click_picture("grid", 3)
    page.check("kept", grid[[3]])
    assert not page.page.get_by_label("Weights", exact=True).count()
