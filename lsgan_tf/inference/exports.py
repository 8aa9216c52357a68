"""What `export` writes: a generator in several formats, each compared, and a model card."""

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lsgan_tf.inference import model_card, portable, sampler, space
from lsgan_tf.inference.formats import FORMATS, Written
from lsgan_tf.inference.load import Trained
from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError

IMAGES = 16  # that each file is compared on, and timed with
CARD = "model_card.md"
# Sums in another order put a value on the other side of a half before it is rounded.
_MOST_LEVELS, _MOST_SHARE = 1, 0.01
_ROUNDS = 3


def write(
    trained: Trained, directory: str | Path, version: int, names: Sequence[str]
) -> tuple[list[Written], Path]:
    """Writes a generator in each of these formats; none has its name until all are compared.

    Each is opened again as its users do, and makes images of the same latents as the generator of
    the run, alone and in a batch.

    Args:
        trained: the generator and where it comes from.
        directory: where the files come to lie; what an earlier call has written is replaced.
        version: a part of their names.
        names: of `formats.FORMATS`.

    Returns:
        (what was written, the path of the model card).

    Raises:
        UserError: a file cannot be written or makes other images, the network cannot be converted,
            or a directory exists that is no SavedModel.
    """
    directory = Path(directory)
    targets = {name: directory / FORMATS[name].file.format(version=version) for name in names}
    for target in targets.values():
        if target.is_dir() and not (target / "saved_model.pb").is_file():
            raise UserError(
                f"{target} exists and is no SavedModel. Choose another --output_dir or --version."
            )
    with _staging(directory) as staging:
        # The SavedModel last: its table of class names stays where tf2onnx finds it, and warns.
        for name, target in reversed(targets.items()):
            portable.write(name, trained.generator, trained.class_names, staging / target.name)
            if name == "space":
                space.add_page(staging / target.name, trained.run.name)
        compare = _Comparison(trained.generator)
        written = [
            compare(name, staging / target.name)._replace(path=target)
            for name, target in targets.items()
        ]
        card = model_card.render(trained, written, IMAGES)
        files.write_bytes(staging / CARD, card.encode())
        for target in (*targets.values(), directory / CARD):
            _replace(target, staging / target.name, staging)
    return written, directory / CARD


class _Comparison:
    """Compares what files draw with what their generator draws."""

    def __init__(self, generator):
        self._z = sampler.draw_latents(generator, IMAGES, seed=0)
        self._labels = sampler.labels_for(IMAGES, IMAGES, generator.num_classes)
        self._expected = sampler.Sampler(generator)(self._z, self._labels).astype(int)

    def __call__(self, name: str, path: Path) -> Written:
        """Opens, measures and compares a file.

        Raises:
            UserError: it makes other images.
        """
        draw = portable.open_again(name, path)
        one = None if self._labels is None else self._labels[:1]
        differences = np.abs(draw(self._z, self._labels) - self._expected)
        alone = np.abs(draw(self._z[:1], one) - self._expected[:1])
        levels, share = max(differences.max(), alone.max()), np.mean(differences > 0)
        if levels > _MOST_LEVELS or share > _MOST_SHARE:
            raise UserError(
                f"The generator as {name} makes other images than in the run: up to {levels} of "
                f"255 grey levels from theirs, {share:.2%} of the values differ; allowed are "
                f"{_MOST_LEVELS} and {_MOST_SHARE:.0%}. Nothing was written. Take another --format."
            )
        seconds = min(self._time(draw) for _ in range(_ROUNDS))
        return Written(name, path, _size(path), int(levels), float(share), seconds / IMAGES * 1e3)

    def _time(self, draw):
        start = time.perf_counter()
        draw(self._z, self._labels)
        return time.perf_counter() - start


def _size(path):
    parts = path.rglob("*") if path.is_dir() else [path]
    return sum(part.stat().st_size for part in parts if part.is_file())


@contextlib.contextmanager
def _staging(directory: Path) -> Iterator[Path]:
    """A new folder beside the files to come, removed when the block ends."""
    staging = directory / ".unfinished"  # no number, which TensorFlow Serving would load
    shutil.rmtree(staging, ignore_errors=True)  # of a process that was killed
    try:
        staging.mkdir(parents=True)
        yield staging
    except OSError as error:
        raise files.write_error(error, directory) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _replace(target, new, staging):
    """Gives `new` the name `target`; if that fails, what was there has its name again."""
    before = staging / "before"
    existed = target.is_dir()  # files are replaced by renaming alone
    if existed:
        target.rename(before)
    try:
        new.rename(target)
    except OSError:
        if existed:
            before.rename(target)
        raise
    shutil.rmtree(before, ignore_errors=True)
