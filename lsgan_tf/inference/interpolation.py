"""Latents on the way from one to the next. No TensorFlow."""

import numpy as np


def interpolate(z: np.ndarray, frames: int, distribution: str) -> np.ndarray:
    """Latents on the way from each to the next: [N, L] -> [(N - 1) * frames, L], ends included.

    Straight lines for uniform latents; great circles for normal ones, which lie near a sphere and
    would leave it on a straight line.
    """
    fractions = np.linspace(0.0, 1.0, frames, dtype=np.float32)[:, None]
    between = _slerp if distribution == "normal" else _lerp
    return np.concatenate([between(a, b, fractions) for a, b in zip(z, z[1:], strict=False)])


def _lerp(a, b, fractions):
    return (1.0 - fractions) * a + fractions * b


def _slerp(a, b, fractions):
    cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    if angle < 1e-4:
        return _lerp(a, b, fractions)
    return (np.sin((1.0 - fractions) * angle) * a + np.sin(fractions * angle) * b) / np.sin(angle)
