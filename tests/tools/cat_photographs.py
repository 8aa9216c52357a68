"""Photographs of noise with the annotations of the CAT archive."""

import numpy as np

from tests.datasets import making


def annotation(side=16, x=20, y=15):
    """Level eyes around (x, y) and ears `side` apart."""
    left, right = x - side // 2, x + side // 2
    return f"9 {x - 4} {y} {x + 4} {y} {x} {y + 5} {left} 6 9 2 12 6 28 6 31 2 {right} 6 "


def pixels_of(number):
    """uint8 [30, 40, 3]: noise, with the number in the upper left of the face of 16 pixels."""
    pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), np.uint8)
    pixels[8, 12] = number // 256, number % 256, 0
    return pixels


def save(folder, name, number=0, text=None):
    """Writes a photograph, without loss whatever its name says, and its annotation."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jpg").write_bytes(making.png(pixels_of(number)))
    (folder / f"{name}.jpg.cat").write_text(annotation() if text is None else text)
    return folder
