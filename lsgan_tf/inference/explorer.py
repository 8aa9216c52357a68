"""What the page of the demo does, in NumPy: draw, keep, walk, move along principal directions.

With `interpolation` and `utils` this is all of the package that a Space needs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lsgan_tf.inference.interpolation import interpolate
from lsgan_tf.utils import images
from lsgan_tf.utils.errors import UserError

DIRECTIONS = 6
MOST_PICTURES, MOST_KEPT, MOST_FRAMES = 64, 12, 30
MOST_DEVIATIONS = 4.0
MOST_SEED = 2**53 - 1  # what a number of JavaScript holds exactly
EACH = -1  # in place of a class: each in turn
_BATCH = 64
_STDDEV = {"uniform": 3.0**-0.5, "normal": 1.0}  # of one number of a latent
_LEAST_EXAMPLES = 1024  # that directions are found from


class Latents(NamedTuple):
    """What pictures are made of."""

    z: np.ndarray  # float32 [N, latent_dim]
    labels: np.ndarray  # int64 [N], ids of classes; zeros without classes

    def at(self, index: int) -> "Latents":
        """The one of this number, as N = 1.

        Raises:
            UserError: there is none.
        """
        if not isinstance(index, int) or not 0 <= index < len(self.z):
            raise UserError("This picture is not there any more. Choose another.")
        return Latents(self.z[index : index + 1], self.labels[index : index + 1])

    def and_one(self, other: "Latents") -> "Latents":
        """These and one more.

        Raises:
            UserError: they are as many as may be kept.
        """
        if len(self.z) >= MOST_KEPT:
            raise UserError(f"{MOST_KEPT} pictures are kept, the most there may be. Remove some.")
        return Latents(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def without(self, index: int) -> "Latents":
        """These but one.

        Raises:
            UserError: it is not there.
        """
        self.at(index)
        return Latents(*(np.delete(part, index, axis=0) for part in self))


class Explorer:
    """A generator as the demo uses it. Numbers from the page are checked here.

    Args:
        signatures: of `serving.Server`, or of a SavedModel that was loaded.

    Attributes:
        class_names: of a conditional generator, else empty.
        nothing: no latents, of this generator's length.
    """

    def __init__(self, signatures: Mapping[str, Callable]):
        self._signatures = signatures
        names = signatures["class_names"]()["class_names"].numpy() if self._conditional else ()
        self.class_names = tuple(name.decode(errors="replace") for name in names)
        first = signatures["latents"](count=np.int32(1), seed=np.int64(0))
        self._distribution = first["distribution"].numpy().decode()
        self.nothing = Latents(first["latents"].numpy()[:0], np.zeros(0, np.int64))
        self._directions = {}

    @property
    def _conditional(self):
        return "class_names" in self._signatures

    def draw(self, count: int, seed: int, truncation: float = 1.0, label: int = EACH) -> Latents:
        """Random latents: those that `sample --seed --truncation` draws.

        Raises:
            UserError: a number is out of its range.
        """
        _check("The number of pictures", count, 1, MOST_PICTURES)
        _check("The seed", seed, 0, MOST_SEED)
        _check("Truncation", truncation, 0.0, 1.0)
        _check("The class", label, EACH, max(0, len(self.class_names) - 1))
        z = self._signatures["latents"](count=np.int32(count), seed=np.int64(seed))["latents"]
        in_turn = np.arange(count) % max(1, len(self.class_names))
        labels = in_turn if label == EACH else np.full(count, label)
        return Latents(z.numpy() * np.float32(truncation), labels.astype(np.int64))

    def pictures(self, latents: Latents) -> np.ndarray:
        """Pictures of latents, uint8 [N, H, W, C]; none of none.

        Raises:
            UserError: the generator makes NaN or infinity.
        """
        batches = [np.rint(values * 255.0) for _, values in self._values(latents)]
        return np.concatenate(batches).astype(np.uint8) if batches else np.zeros(0, np.uint8)

    def _values(self, latents):
        """Yields (latents [b, L], pictures [b, H, W, C] in [0, 1]), a batch at a time."""
        for start in range(0, len(latents.z), _BATCH):
            z, labels = (part[start : start + _BATCH] for part in latents)
            inputs = {"latents": z, "labels": labels} if self._conditional else {"latents": z}
            values = self._signatures["serving_default"](**inputs)["images"].numpy()
            if not np.isfinite(values).all():
                raise UserError("The generator makes NaN or infinity. Take an earlier checkpoint.")
            yield z, values

    def move(self, latent: Latents, deviations: Sequence[float]) -> Latents:
        """One latent, moved along the principal directions of its class, in standard deviations.

        Raises:
            UserError: a number is out of its range.
        """
        for value in deviations:
            _check("A slider", value, -MOST_DEVIATIONS, MOST_DEVIATIONS)
        if not any(deviations):
            return latent
        found = self.directions(int(latent.labels[0]))
        deviations = np.float32(deviations[: len(found)]) * _STDDEV[self._distribution]
        by = np.float32(deviations) @ found[: len(deviations)]
        return latent._replace(z=latent.z + by)

    def directions(self, label: int = 0) -> np.ndarray:
        """The principal directions of a class, [DIRECTIONS or fewer, L]; seconds at first."""
        if label not in self._directions:
            length = self.nothing.z.shape[1]
            count = max(_LEAST_EXAMPLES, 8 * length)
            starts = range(0, count, _BATCH)  # a batch a seed
            drawn = (self.draw(_BATCH, number, label=label) for number, _ in enumerate(starts))
            examples = (pair for latents in drawn for pair in self._values(latents))
            self._directions[label] = principal_directions(examples, DIRECTIONS)
        return self._directions[label]

    def walk(self, kept: Latents, frames: int) -> Latents:
        """Latents from each kept one to the next, `frames` a leg; its class changes halfway.

        Raises:
            UserError: fewer than two are kept, or the number is out of its range.
        """
        _check("The number of frames", frames, 2, MOST_FRAMES)
        if len(kept.z) < 2:
            raise UserError("Keep two pictures or more: a walk goes from each to the next.")
        z = interpolate(kept.z, frames, self._distribution)
        first_half = np.arange(frames) < frames / 2
        legs = zip(kept.labels, kept.labels[1:], strict=False)
        return Latents(z, np.concatenate([np.where(first_half, a, b) for a, b in legs]))

    def write(self, kept: Latents, frames: int, folder: Path) -> list[Path]:
        """Writes pictures.png and latents.npz of what is kept, and walk.gif if it is several.

        Raises:
            UserError: nothing is kept.
        """
        if not len(kept.z):
            raise UserError("Keep a picture first: click one of the grid.")
        paths = [folder / "pictures.png", folder / "latents.npz"]
        pictures = self.pictures(kept)
        paths[0].write_bytes(images.encode_png(images.grid(pictures, columns=len(pictures))))
        np.savez(paths[1], latents=kept.z, labels=kept.labels)
        if len(kept.z) > 1:
            paths.append(folder / "walk.gif")
            paths[-1].write_bytes(images.encode_gif(self.pictures(self.walk(kept, frames))))
        return paths


def principal_directions(
    examples: Iterable[tuple[np.ndarray, np.ndarray]], count: int
) -> np.ndarray:
    """The directions of latents along which pictures change most, the strongest first.

    The linear map from latents to pictures that fits best, by least squares, and its singular
    vectors on the side of the latents: for independent latents of one variance these are the
    principal components of the fitted pictures, taken back to the latents. GANSpace (Härkönen et
    al., NeurIPS 2020, section 2.2) takes the components of a layer's activations and then regresses
    latents on them; here that layer is the picture, and the regression, done first, is exact for a
    linear generator, whatever latents were drawn.

    Args:
        examples: (latents [b, L], pictures [b, ...]), more than L in all; held batch by batch.
        count: how many directions.

    Returns:
        float32 [count or L, L], of length 1 and at right angles; the largest number of each is
        positive.
    """
    gram = moments = 0.0
    for z, pictures in examples:
        with_one = np.insert(z.astype(np.float64), 0, 1.0, axis=1)  # the one is the mean's
        gram = gram + with_one.T @ with_one
        moments = moments + with_one.T @ pictures.reshape(len(z), -1)
    slopes = np.linalg.solve(gram, moments)[1:]  # [L, pixels]
    _, vectors = np.linalg.eigh(slopes @ slopes.T)
    found = vectors.T[::-1][:count]
    largest = np.take_along_axis(found, np.abs(found).argmax(axis=1)[:, None], axis=1)
    return (found * np.sign(largest)).astype(np.float32)


def _check(what, value, low, high):
    """Refuses what is no number from `low` to `high`; no whole one, where `low` is whole."""
    whole = isinstance(low, int)
    good = (
        isinstance(value, (int, float)) and low <= value <= high and (not whole or value % 1 == 0)
    )
    if not good:
        kind = "a whole number" if whole else "a number"
        raise UserError(f"{what} must be {kind} from {low} to {high:,}.")
