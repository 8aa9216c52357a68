"""A picture of many points of the plane: how dense they lie, as the ICCV 2017 paper shows it.

A kernel density estimate in 30 shades of green over [-4, 4] x [-4, 4], on the lightest of them,
after the plots of the authors' `mixture_gaussian/ls.py`. Each picture's darkest shade is its own
densest place.
"""

import matplotlib
import numpy as np

EXTENT = 4.0  # the axes go from -EXTENT to EXTENT
SIDE = 256  # pixels
SHADES = 30


def picture(points, side=SIDE):
    """Points float [N, 2], x to the right and y up -> uint8 [side, side, 3].

    Points that are not finite or lie outside the axes are left out.
    """
    points = np.asarray(points, np.float64)
    points = points[(np.abs(points) <= EXTENT).all(axis=1)]
    density = estimate(points, side)
    shares = density / (density.max() or 1.0)
    shades = np.floor(shares * SHADES).clip(0, SHADES - 1) / (SHADES - 1)
    greens = matplotlib.colormaps["Greens"](shades)[..., :3]
    return np.rint(greens * 255).astype(np.uint8)


def estimate(points, side):
    """Density of points [N, 2] at the pixels' centres, float [side, side], the top row first.

    A Gaussian kernel for each axis, as wide as Scott's rule says, but no narrower than a pixel:
    what is less would show nowhere or by chance.
    """
    if not len(points):
        return np.zeros((side, side))
    pixel = 2 * EXTENT / side
    centres = (np.arange(side) + 0.5) * pixel - EXTENT
    widths = np.maximum(points.std(axis=0) * len(points) ** (-1 / 6), pixel)
    # [side, N] for each axis: a product kernel makes of the sum over points a matrix product.
    x, y = (
        np.exp(-0.5 * ((centres[:, None] - points[:, axis]) / widths[axis]) ** 2)
        / (widths[axis] * np.sqrt(2 * np.pi))
        for axis in (0, 1)
    )
    return (y @ x.T)[::-1] / len(points)
