"""python -m lsgan_tf.demo --run_dir=R: a trained generator in the browser.

Click random pictures to keep them, change them along principal directions, walk from one to the
next, download. This file is also the app.py that export --format=space writes beside a model.
"""

import functools
import html
import importlib.util
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags

from lsgan_tf.inference import explorer
from lsgan_tf.inference.explorer import Explorer
from lsgan_tf.utils import command_line, images
from lsgan_tf.utils.errors import UserError

_HOST = flags.DEFINE_string(
    "host", "127.0.0.1", "The address of the page; 0.0.0.0 shows it to the whole network."
)
_PORT = flags.DEFINE_integer("port", 7860, "The port of the page.", 1, 65535)
_BESIDE = Path(__file__).resolve().parent  # of a Space: the SavedModel
_MOST_OPEN = 4  # networks in memory
_CACHE = 600, 3600  # how often pictures that were shown are removed, and after how long; seconds
_CSS = """
.grid-container {grid-template-columns: repeat(var(--grid-cols), minmax(0, 1fr)) !important;
    grid-auto-rows: auto !important; padding-top: 0 !important}
.grid-wrap {max-height: none !important; min-height: 60px}
.image-container {height: calc(100% - 30px) !important}
.image-frame, .image-frame img {width: 100%; height: 100%; object-fit: contain}
img {image-rendering: pixelated}
label.float {position: static !important; border: none !important}
footer {display: none !important}
"""


class Models(NamedTuple):
    """What the page can show."""

    title: str
    open: Callable[..., Explorer]  # of a checkpoint and weights
    checkpoints: Sequence[int] = ()
    weights: Sequence[str] = ()
    shown: tuple[int | None, str | None] = (None, None)  # at first


def main():
    command_line.check_started()
    from lsgan_tf.inference import load

    load.read_run()  # a wrong directory is told before anything heavy starts
    if not importlib.util.find_spec("gradio"):
        raise UserError(f"The demo needs gradio:  {sys.executable} -m pip install gradio")
    _check_address(_HOST.value, _PORT.value)
    command_line.start_tensorflow()
    serve(_of_run(load.load_by_flags()), _HOST.value, _PORT.value)


def _check_address(host, port):
    """Told here, since Gradio tries it only when everything is loaded."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise UserError(
            f"The page cannot be served: {error.strerror}. Choose another --port or --host."
        ) from error


def _of_run(trained) -> Models:
    """All checkpoints of a run; the one that is loaded is shown first."""
    from lsgan_tf.inference import load, serving
    from lsgan_tf.runs import checkpoints

    run, shown = trained.run, (trained.step, trained.weights)

    @functools.lru_cache(maxsize=_MOST_OPEN)
    def open_model(*which):
        at = dict(zip(("checkpoint", "weights"), map(str, which), strict=True))
        loaded = trained if which == shown else load.load(str(run.directory), **at)
        return Explorer(serving.Server(loaded.generator, loaded.class_names).signatures())

    weights = ("ema", "raw") if run.read()[0].ema_decay else ("raw",)
    steps = checkpoints.available(run.checkpoints)
    return Models(run.name, open_model, steps, weights, shown)


def _of_space() -> Models:
    """The SavedModel beside this file."""
    import tensorflow as tf

    shown = Explorer(tf.saved_model.load(str(_BESIDE)).signatures)
    return Models("", lambda *_: shown)


def serve(models: Models, host: str | None = None, port: int | None = None) -> None:
    """Serves the page until Ctrl-C; without a host and a port, where Gradio's variables say."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    with tempfile.TemporaryDirectory() as cache:
        os.environ["GRADIO_TEMP_DIR"] = cache  # else a folder that all users of a machine share
        page = build(models)
        page.launch(
            server_name=host,
            server_port=port,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            max_file_size="1kb",  # nothing is to be uploaded
            css=_CSS,
        )
        print(f"{page.local_url} shows {models.title or _BESIDE}. Ctrl-C ends it.", flush=True)
        page.block_thread()


def build(models: Models):
    """The page, a `gradio.Blocks`."""
    import gradio

    title = models.title or "Pictures"
    with gradio.Blocks(title=title, analytics_enabled=False, delete_cache=_CACHE) as blocks:
        gradio.Markdown(f"# {html.escape(title)}")
        _Page(gradio, blocks, models)
    return blocks


class _Page:
    """The components of the page, and what each event of them does: the work is the `Explorer`'s.

    Args:
        gradio: the module, which commands import no sooner than they need it.
        blocks: the page itself.
        models: what it can show.
    """

    def __init__(self, gradio, blocks, models: Models):
        self._gr, self._blocks, self._open = gradio, blocks, models.open
        first = models.open(*models.shown)
        self._kept, self._chosen = gradio.State(first.nothing), gradio.State(0)
        with gradio.Row():
            with gradio.Column(scale=3):
                self._lay_out_grid(models, first.class_names)
            with gradio.Column(scale=2):
                self._lay_out_kept()
        self._connect()

    def _lay_out_grid(self, models, names):
        gr = self._gr
        columns = images.grid_size(len(names))[1]
        classes = [("each in turn", explorer.EACH), *((name, id) for id, name in enumerate(names))]
        with gr.Row():
            self._which = [
                gr.Dropdown(list(choices), value=value, label=label, visible=len(choices) > 1)
                for choices, value, label in (
                    (models.checkpoints, models.shown[0], "Checkpoint"),
                    (models.weights, models.shown[1], "Weights"),
                )
            ]
            label = gr.Dropdown(classes, value=explorer.EACH, label="Class", visible=bool(names))
            self._seed = gr.Number(0, precision=0, label="Seed")
        with gr.Row():
            count = self._slider("Pictures", 4 * columns, 1, explorer.MOST_PICTURES, 1)
            truncation = self._slider("Truncation", 1.0, 0.0, 1.0, 0.05)
        self._draws = [count, self._seed, truncation, label]
        self._others = gr.Button("Others")
        self._grid = self._gallery("Click a picture to keep it", "grid", columns)

    def _lay_out_kept(self):
        gr, most = self._gr, float(explorer.MOST_DEVIATIONS)
        self._keeping = self._gallery("Kept; click one to change it", "kept", 6)
        with gr.Row():
            size = {"height": 240, "interactive": False, "buttons": []}
            self._picture = gr.Image(label="Chosen", elem_id="chosen", format="png", **size)
            self._walk = gr.Image(label="Walk", elem_id="walk", type="filepath", **size)
        gr.Markdown("Changed along principal directions, in standard deviations:")
        with gr.Row():
            self._deviations = [
                self._slider(str(number), 0.0, -most, most, 0.1)
                for number in range(1, explorer.DIRECTIONS + 1)
            ]
        with gr.Row():
            self._keep_changed = gr.Button("Keep as changed")
            self._remove = gr.Button("Remove")
        self._frames = self._slider(
            "Pictures from each to the next", 12, 2, explorer.MOST_FRAMES, 1
        )
        self._make = gr.Button("Walk, and files to download")
        self._files = gr.File(
            label="Files", elem_id="files", file_count="multiple", interactive=False
        )

    def _slider(self, label, value, low, high, step):
        slider = self._gr.Slider(low, high, value, step=step, label=label)
        slider.preprocess = lambda value: value  # Gradio's own check of it prints a traceback
        return slider

    def _gallery(self, label, name, columns):
        return self._gr.Gallery(
            label=label,
            elem_id=name,
            columns=columns,
            format="png",
            allow_preview=False,
            object_fit="contain",
            buttons=[],
        )

    def _connect(self):
        """Says which event calls what, with the values of which components, and sets which."""
        on = functools.partial(self._gr.on, api_visibility="private", show_progress="minimal")
        on_last = functools.partial(on, trigger_mode="always_last")  # of what comes quickly
        draws = [*self._which, *self._draws]
        state = [*self._which, self._kept, self._chosen]
        moved = [*state, *self._deviations]
        shown = [self._keeping, self._picture]
        everything = [self._kept, self._chosen, *shown, *self._deviations]
        redrawing = [self._blocks.load, *(part.change for part in draws)]
        on_last(redrawing, self._with_folder(self._draw), draws, self._grid)
        reopening = [part.change for part in self._which]
        on_last(reopening, self._with_folder(self._show), moved, shown)
        moving = [part.input for part in self._deviations]
        on_last(moving, self._with_folder(self._show_moved), moved, self._picture)
        on(self._others.click, lambda seed: (seed or 0) + 1, self._seed, self._seed)
        on(self._grid.select, self._with_index(self._keep), [*state, *self._draws], everything)
        on(self._keeping.select, self._with_index(self._choose), state, everything)
        on(self._keep_changed.click, self._with_folder(self._keep_moved), moved, everything)
        on(self._remove.click, self._with_folder(self._drop), state, everything)
        made = [self._walk, self._files]
        on(self._make.click, self._with_folder(self._write), [*state, self._frames], made)

    def _with_folder(self, handle):
        """A handler of an event, as Gradio calls it, that is given a folder for files to show.

        Gradio has copied what was yielded when it asks for more. Of an array it would write a file
        of the same name each time, also while a browser reads it.
        """

        def call(*values):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    yield handle(Path(folder), *values)
                except UserError as error:
                    message = html.escape(str(error))
                    raise self._gr.Error(message, print_exception=False) from None

        return call

    def _with_index(self, handle):
        """The same of a handler that is also given the number of the picture that was clicked."""
        call = self._with_folder(handle)

        def select(event: self._gr.SelectData, *values):
            yield from call(event.index, *values)

        return select

    def _draw(self, folder, checkpoint, weights, *draws):
        model = self._open(checkpoint, weights)
        return _stored(folder, model.pictures(model.draw(*draws)))

    def _keep(self, folder, index, checkpoint, weights, kept, chosen, *draws):
        model = self._open(checkpoint, weights)
        return self._view(folder, model, kept.and_one(model.draw(*draws).at(index)), len(kept.z))

    def _choose(self, folder, index, checkpoint, weights, kept, chosen):
        kept.at(index)
        return self._view(folder, self._open(checkpoint, weights), kept, index)

    def _drop(self, folder, checkpoint, weights, kept, chosen):
        kept = kept.without(chosen)
        before = max(0, min(chosen, len(kept.z) - 1))
        return self._view(folder, self._open(checkpoint, weights), kept, before)

    def _keep_moved(self, folder, checkpoint, weights, kept, chosen, *deviations):
        model = self._open(checkpoint, weights)
        moved = model.move(kept.at(chosen), deviations)
        return self._view(folder, model, kept.and_one(moved), len(kept.z))

    def _view(self, folder, model, kept, chosen):
        """Values of all that shows what is kept: one is chosen, and not changed yet."""
        paths = _stored(folder, model.pictures(kept))
        unmoved = [0.0] * len(self._deviations)
        return [kept, chosen, paths, paths[chosen] if paths else None, *unmoved]

    def _show(self, folder, checkpoint, weights, kept, chosen, *deviations):
        """What is kept, drawn by other weights."""
        if not len(kept.z):
            return [], None
        model = self._open(checkpoint, weights)
        both = kept, model.move(kept.at(chosen), deviations)
        *paths, path = _stored(folder, np.concatenate([model.pictures(part) for part in both]))
        return paths, path

    def _show_moved(self, folder, checkpoint, weights, kept, chosen, *deviations):
        model = self._open(checkpoint, weights)
        (path,) = _stored(folder, model.pictures(model.move(kept.at(chosen), deviations)))
        return path

    def _write(self, folder, checkpoint, weights, kept, chosen, frames):
        paths = [*map(str, self._open(checkpoint, weights).write(kept, frames, folder))]
        return next((path for path in paths if path.endswith(".gif")), None), paths


def _stored(folder, pictures):
    """Writes each picture to a file; returns the paths."""
    paths = [folder / f"{number}.png" for number in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        path.write_bytes(images.encode_png(picture))
    return [*map(str, paths)]


if __name__ == "__main__":
    if (_BESIDE / "saved_model.pb").is_file():  # app.py of a Space
        serve(_of_space())
    else:
        from lsgan_tf.inference import load

        load.define_flags()
        flags.adopt_module_key_flags(load)
        command_line.run(main)
