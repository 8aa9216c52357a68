"""The training of a run's fixed latents, made of its sample grids: an animation, or one picture.

The grids may come from outside: one of another size is refused, and the memory is bounded. No
TensorFlow.
"""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lsgan_tf.datasets import pictures
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils import files, images
from lsgan_tf.utils.errors import UserError

KINDS = ("gif", "png")
_MOST_FRAMES = 200
_MOST_PIXELS = 1 << 27  # of all frames, which bounds the memory: 200 grids of images of 100 pixels
_FRAMES_PER_SECOND = 8
_LAST_HELD = 16  # frames: two seconds
_MOST_ROWS = 8
_SMALLEST_TEXT = 10  # pixels: of larger grids, a 32nd of their width


def write(run: Run, kind: str, path: Path, scale: int = 1) -> list[int]:
    """Writes how the images of the run's fixed latents changed from step to step.

    Args:
        run: the run.
        kind: "gif": an animation of the grids, 200 at most, evenly spaced. "png": the first rows of
            eight grids at most below each other, closer together where training begins.
        path: the file.
        scale: the side of the square that shows a pixel.

    Returns:
        The steps that are shown, in order; the first and the last grid are among them.

    Raises:
        UserError: there is no run, no grid, or one that cannot be used; or the file cannot be
            written.
    """
    grids = _Grids(run, scale)
    if kind == "gif":
        height, width, _ = grids.shape
        most = min(_MOST_FRAMES, max(2, _MOST_PIXELS // (height * width)))
        steps = _choose(grids.steps, most, np.linspace)
        data = images.encode_gif(_frames(grids, steps), _FRAMES_PER_SECOND)
    else:
        steps = _choose(grids.steps, _MOST_ROWS, np.geomspace)
        data = images.encode_png(_rows(grids, steps))
    files.write_bytes(path, data)
    return steps


class _Grids:
    """Reads the sample grids of a run, enlarged by an integer.

    Attributes:
        steps: their steps, in order; at least one.
        row_height: pixels of the first row of images, with what is around it.
        shape: height, width, channels of each grid.
    """

    def __init__(self, run: Run, scale: int):
        config, data = run.read()
        self._run, self._scale, self.steps = run, scale, run.list_sampled_steps()
        if not self.steps:
            raise UserError(
                f"{run.samples} holds no sample grid (STEP.png) yet. python -m lsgan_tf.train "
                "writes one at step 0 and after every --sample_every steps."
            )
        rows, columns = images.grid_size(len(data.class_names or ()) if config.conditional else 0)
        cell_height, cell_width, channels = data.image_shape
        height, width = (
            count * (side + images.GAP) + images.GAP
            for count, side in ((rows, cell_height), (columns, cell_width))
        )
        self._stored_shape = height, width, channels
        self.shape = height * scale, width * scale, channels
        self.row_height = (cell_height + 2 * images.GAP) * scale

    def read(self, step: int) -> np.ndarray:
        """The grid of a step, uint8 of this shape.

        Raises:
            UserError: the file is damaged or of another size.
        """
        path = self._run.sample_path(step)
        height, width, channels = self._stored_shape
        try:
            picture = _decode(path).convert("L" if channels == 1 else "RGB")
            if picture.size != (width, height):
                size = f"{picture.width}x{picture.height}"
                raise pictures.BadImage(f"it has {size} pixels, the run's grids {width}x{height}")
        except (OSError, pictures.BadImage) as error:
            raise UserError(
                f"{path} cannot be used: {error}. Move it out of {path.parent} and give the same "
                "command again."
            ) from error
        return images.enlarged(np.asarray(picture).reshape(self._stored_shape), self._scale)


def _decode(path: Path) -> Image.Image:
    if not path.is_file():  # opening a named pipe would block
        raise pictures.BadImage("it is no file")
    if path.stat().st_size > pictures.MAX_FILE_BYTES:
        raise pictures.BadImage(f"it is larger than {pictures.MAX_FILE_BYTES} bytes")
    return pictures.decode(path.read_bytes())


def _choose(
    steps: Sequence[int], most: int, spaced: Callable[[float, float, int], np.ndarray]
) -> list[int]:
    """At most so many of the steps, the first and the last included.

    Args:
        steps: all of them, in order.
        most: how many may be left, two or more.
        spaced: numpy's `linspace` or `geomspace`, which places them.
    """
    if len(steps) <= most:
        return list(steps)
    places = np.rint(spaced(1, len(steps), most)).astype(int) - 1
    return [steps[place] for place in np.unique(places)]


def _frames(grids, steps):
    """Yields each grid with its step below; equal frames at the end are one that is held."""
    _, width, channels = grids.shape
    font = _font(width)
    for step in steps:
        caption = _text(f"step {step:,}", font, (2 * font.size, width, channels))
        frame = np.concatenate([grids.read(step), caption])
        yield frame
    yield from itertools.repeat(frame, _LAST_HELD)


def _rows(grids, steps):
    """The first row of each grid, with its step on the left."""
    _, grid_width, channels = grids.shape
    font = _font(grid_width)
    height = grids.row_height
    width = round(max(font.getlength(f"{step:,}") for step in steps) + font.size)
    rows = []
    for step in steps:
        label = _text(f"{step:,}", font, (height, width, channels))
        rows.append(np.concatenate([label, grids.read(step)[:height]], axis=1))
    return np.concatenate(rows)


def _font(grid_width):
    return ImageFont.load_default(max(_SMALLEST_TEXT, grid_width // 32))


def _text(text, font, shape):
    """Black on white, uint8 of this shape; on the right, so that no digit is cut off."""
    height, width, _ = shape
    picture = Image.new("L", (width, height), 255)
    position = width - font.size // 2, height // 2
    ImageDraw.Draw(picture).text(position, text, 0, font, anchor="rm")
    return np.broadcast_to(np.asarray(picture)[..., None], shape)
