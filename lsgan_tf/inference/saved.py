"""What was saved, by its path: a .keras file or a run directory."""

import zipfile
from pathlib import Path

import keras

# These two register all of the classes that a file may hold.
import lsgan_tf.gan.model
import lsgan_tf.networks  # noqa: F401
from lsgan_tf.inference import load as of_run
from lsgan_tf.utils.errors import UserError, innermost_cause


def load(path: str, *, checkpoint: str = "latest", weights: str = "auto") -> keras.Model:
    """Loads a GAN or a network that `save` wrote, or the generator of a run directory.

    `keras.saving.load_model` does as well once all of the classes in the file are imported.

    Args:
        path: a .keras file, or a run directory.
        checkpoint: of a run: a step, "latest" or "best".
        weights: of a run: "raw", "ema", or "auto", the averaged ones where there are some.

    Raises:
        UserError: there is no such file or run, or it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        return of_run.load(str(path), checkpoint=checkpoint, weights=weights).generator
    if not path.exists():
        raise UserError(f"{path}: there is no such .keras file or run directory.")
    try:
        return keras.saving.load_model(path)
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} cannot be loaded: {innermost_cause(error)} If it holds classes of your own, "
            "import them first; they must be registered with "
            "keras.saving.register_keras_serializable."
        ) from error
