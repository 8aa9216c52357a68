"""The two-dimensional Gaussian mixture of the LSGAN paper (ICCV 2017, stability), whole.

    python -m lsgan_tf.experiments.gaussian_mixture --seeds=0-9

After the authors' `stability_comparison/mixture_gaussian/ls.py` and `sig.py`. Losses are means as
in the paper, theirs are sums times 0.5: the same under Adam, but for its epsilon.

All S seeds train in one graph. Kernels have a leading seed axis, "images" are [N, S, 2], and
`loss_scale=S` makes each seed's gradient that of its own mean over N. Initial weights and data are
functions of the seed; latents are functions of the step, the same for all seeds. So a seed has the
same results alone and in company, up to rounding, which long training amplifies.

Writes into --output_dir: modes.jsonl (a line for each objective, seed and step), OBJECTIVE.npz (the
generated points), steps.png (the first seed, step by step) and seeds.png (all seeds at the end).
"""

import json
import re
import time
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image, ImageDraw

from lsgan_tf.experiments.intervals import wilson_interval
from lsgan_tf.utils import command_line, images
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.files import make_parent, replacing, write_bytes

# The authors' nine angles include 0 and 2 pi, so the mode at (0, 1) has weight 2/9.
ANGLES = np.linspace(0.0, 2.0 * np.pi, 9)
MODES = np.stack([np.sin(ANGLES), np.cos(ANGLES)], axis=1)[:-1].astype(np.float32)
STDDEV = 0.01  # of each coordinate
# Labels (a, b, c); None is the regular GAN.
OBJECTIVES = {"least_squares": (0.0, 1.0, 1.0), "pearson": (-1.0, 1.0, 0.0), "sigmoid": None}
LATENT_DIM, GAIN, BATCH_SIZE = 256, 1.4, 512
POINTS, COVERED = 5120, 20  # generated for a snapshot; of them, in a mode that counts as covered
MAX_SEEDS = 256  # in one graph: they take about 3 GB
EXTENT = 4.0  # the pictures show [-EXTENT, EXTENT] x [-EXTENT, EXTENT]
_BLOCK = 256  # steps whose data are drawn in one call
_DATA_STREAM = 1 << 20  # keeps the data's random numbers apart from those of the latents


def draw_data(count: int, *, seed: int, block: int):
    """Points of the mixture, float32 [count, 2], a function of (count, seed, block)."""
    import tensorflow as tf

    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(block, tf.int64)])
    keys = tf.random.split(tf.random.experimental.stateless_fold_in(key, _DATA_STREAM), 2)
    angles = tf.random.stateless_uniform((count,), keys[0], 0, len(ANGLES), tf.int32)
    centres = tf.gather(MODES, angles % len(MODES))
    return centres + tf.random.stateless_normal((count, 2), keys[1], stddev=STDDEV)


def batches(seeds: list[int]):
    """Endless `tf.data.Dataset` of float32 [BATCH_SIZE, S, 2]; each seed has its own points."""
    import tensorflow as tf

    @tf.autograph.experimental.do_not_convert
    def draw_block(block):
        points = [draw_data(_BLOCK * BATCH_SIZE, seed=seed, block=block) for seed in seeds]
        return tf.reshape(tf.stack(points, axis=1), (_BLOCK, BATCH_SIZE, len(seeds), 2))

    return tf.data.Dataset.range(tf.int64.max).map(draw_block).prefetch(1).unbatch()


def build_networks(seeds: list[int]):
    """G: latents [N, 256] -> points [N, S, 2]; D: points [N, S, 2] -> logits [N, S, 1].

    Three fully connected layers each, tanh between them. Kernels are [S, inputs, outputs], an
    orthogonal matrix of gain 1.4 for each seed; biases are zero.
    """
    import keras

    from lsgan_tf.networks.base import Discriminator, Generator

    def perceptron(inputs, x, outputs):
        """A model from `inputs` over x [S, N, ...] to [N, S, outputs]."""
        for units, activation in ((128, "tanh"), (128, "tanh"), (outputs, None)):
            x = keras.layers.EinsumDense("sni,sio->sno", (None, units), activation, "so")(x)
        return keras.Model(inputs, keras.ops.transpose(x, (1, 0, 2)))

    shape = (len(seeds), 2)
    z, points = keras.Input((LATENT_DIM,)), keras.Input(shape)
    z_by_seed = keras.ops.repeat(keras.ops.expand_dims(z, 0), len(seeds), axis=0)
    generator, discriminator = Generator(LATENT_DIM, shape), Discriminator(shape)
    generator.latent_distribution, generator.value_range = "normal", None
    generator.body = perceptron(z, z_by_seed, 2)
    discriminator.body = perceptron(points, keras.ops.transpose(points, (1, 0, 2)), 1)
    generator.build_variables()
    discriminator.build_variables()
    for number, kernel in enumerate((generator.weights + discriminator.weights)[::2]):
        draws = [keras.initializers.Orthogonal(GAIN, seed=6 * seed + number) for seed in seeds]
        kernel.assign(keras.ops.stack([draw(kernel.shape[1:]) for draw in draws]))
    return generator, discriminator


def build_gan(seeds: list[int], objective: str):
    """The `GAN` of all seeds, compiled with the authors' optimizers."""
    from lsgan_tf.gan.model import GAN
    from lsgan_tf.gan.objectives import LeastSquares, SigmoidCrossEntropy
    from lsgan_tf.gan.optimizers import Adam

    labels = OBJECTIVES[objective]
    losses = LeastSquares(*labels) if labels else SigmoidCrossEntropy()
    gan = GAN(*build_networks(seeds), losses, schedule="simultaneous", loss_scale=len(seeds))
    gan.compile(Adam(1e-3, beta_1=0.5), Adam(1e-4, beta_1=0.5))
    return gan


def train(seeds: list[int], objective: str, steps: list[int]) -> np.ndarray:
    """Trains all seeds and generates points at each of the steps: float32 [steps, S, POINTS, 2]."""
    from lsgan_tf.gan import latents

    gan, iterator = build_gan(seeds, objective), iter(batches(seeds))
    z = latents.draw("normal", POINTS, LATENT_DIM, seed=0, stream=1)  # training uses stream 0
    snapshots, done, start = [], 0, time.perf_counter()
    for step in sorted({*range(0, steps[-1], 500), *steps}):  # short calls can be interrupted
        if step > done:
            gan.run_steps(iterator, step - done, measured=False)
            done = step
        if step in steps:
            snapshots.append(gan.generator(z).numpy().swapaxes(0, 1))
            print(f"{objective}: step {step:,}, {time.perf_counter() - start:.0f} s", flush=True)
    return np.stack(snapshots)


def coverage(points: np.ndarray) -> dict:
    """Modes that have COVERED of the points [N, 2], and the share of the points near a mode.

    Near is within three standard deviations, the usual measure, or within a distance of 0.1, which
    also counts a mode that is generated too wide. `nearest`: how many are nearest to each mode.
    """
    distances = np.linalg.norm(np.asarray(points, np.float64)[:, None] - MODES, axis=2)
    nearest, distance = distances.argmin(axis=1), distances.min(axis=1)
    measures = {"nearest": np.bincount(nearest, minlength=len(MODES)).tolist()}
    for name, radius in (("within_3_deviations", 3 * STDDEV), ("within_0_1", 0.1)):
        near = np.bincount(nearest[distance <= radius], minlength=len(MODES))
        measures[f"modes_{name}"] = int((near >= COVERED).sum())
        measures[f"share_{name}"] = near.sum() / len(points)
    return measures


def table(rows: list[dict]) -> str:
    """Of one objective: a line for each seed, and how many have all modes at the last step."""
    lines = ["objective      seed  modes 3sd  modes 0.1  share 3sd  share 0.1  modes 0.1 by step"]
    last = [row for row in rows if row["step"] == rows[-1]["step"]]
    for row in last:
        by_step = [str(r["modes_within_0_1"]) for r in rows if r["seed"] == row["seed"]]
        lines.append(
            f"{row['objective']:13} {row['seed']:5} {row['modes_within_3_deviations']:10} "
            f"{row['modes_within_0_1']:10} {row['share_within_3_deviations']:10.3f} "
            f"{row['share_within_0_1']:10.3f}  {' '.join(by_step)}"
        )
    whole, trials = sum(row["modes_within_0_1"] == len(MODES) for row in last), len(last)
    low, high = wilson_interval(whole, trials)
    lines.append(f"all 8 within 0.1: {whole} of {trials}, 95 % interval {low:.0%} to {high:.0%}")
    return "\n".join(lines)


def draw_density(points: np.ndarray, title: str = "", side: int = 160) -> np.ndarray:
    """A kernel density estimate of points [N, 2] in 30 shades of green: uint8 [side, side, 3].

    The kernel is Gaussian, as wide as Scott's rule says but no narrower than a pixel. The darkest
    shade is the picture's own maximum. Points outside the axes or not finite are left out.
    """
    import matplotlib

    points = np.asarray(points, np.float64)
    points = points[(np.abs(points) <= EXTENT).all(axis=1)]
    density = np.zeros((side, side))
    if len(points):
        pixel = 2 * EXTENT / side
        centres = (np.arange(side) + 0.5) * pixel - EXTENT
        widths = np.maximum(points.std(axis=0) * len(points) ** (-1 / 6), pixel)
        # Kernels [2, side, N] of each axis: the sum of their products is a matrix product.
        x, y = np.exp(-0.5 * ((centres[:, None] - points.T[:, None]) / widths[:, None, None]) ** 2)
        density = (y @ x.T)[::-1]  # the top row first
    greens = matplotlib.colormaps["Greens"].resampled(30)
    picture = Image.fromarray(greens(density / (density.max() or 1), bytes=True)[..., :3])
    pen = ImageDraw.Draw(picture)
    pen.text((side / 2, 2), title, "black", anchor="ma", align="center", font_size=12)
    return np.asarray(picture)


def write_pictures(directory: Path, seeds: list[int], steps: list[int], points: dict) -> None:
    """steps.png, a row for each objective, and seeds.png, from what `train` returns of each."""
    by_step, by_seed = [], []
    for objective, snapshots in points.items():
        for step, snapshot in zip(steps, snapshots, strict=True):
            by_step.append(draw_density(snapshot[0], f"{objective}\nstep {step:,}"))
        by_step.append(draw_density(draw_data(POINTS, seed=seeds[0], block=0), "data"))
        for seed, final in zip(seeds, snapshots[-1], strict=True):
            by_seed.append(draw_density(final, f"{objective}\nseed {seed}"))
    for name, tiles in (("steps", by_step), ("seeds", by_seed)):
        columns = len(steps) + 1 if name == "steps" else min(len(seeds), 10)
        write_bytes(directory / f"{name}.png", images.encode_png(images.grid(tiles, columns)))


def parse_seeds(text: str) -> list[int]:
    """ "0-2,7" -> [0, 1, 2, 7]; raises `UserError` if it is no such list."""
    matches = [re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part) for part in text.split(",")]
    ranges = [m and range(int(m[1]), int(m[2] or m[1]) + 1) for m in matches]
    if not all(ranges) or sum(map(len, ranges)) > MAX_SEEDS:
        raise UserError(f"--seeds={text}: give 1 to {MAX_SEEDS} seeds of 0..9999, such as 0-2,7")
    return sorted({seed for seeds in ranges for seed in seeds})


def main() -> None:
    values = flags.FLAGS
    seeds, directory = parse_seeds(values.seeds), Path(values.output_dir)
    make_parent(directory / "modes.jsonl")
    command_line.start_tensorflow()  # after what can be wrong with the flags: it takes seconds
    steps = sorted({*range(0, values.steps, values.snapshot_every), values.steps})
    points, lines = {}, []
    for objective in dict.fromkeys(values.objective):
        points[objective] = train(seeds, objective, steps)
        with replacing(directory / f"{objective}.npz") as file:
            np.savez_compressed(file, seeds=seeds, steps=steps, points=points[objective])
        rows = [
            {"objective": objective, "seed": seed, "step": step, **coverage(snapshot[number])}
            for step, snapshot in zip(steps, points[objective], strict=True)
            for number, seed in enumerate(seeds)
        ]
        lines += [json.dumps(row) + "\n" for row in rows]
        write_bytes(directory / "modes.jsonl", "".join(lines).encode())
        print(table(rows))
    write_pictures(directory, seeds, steps, points)
    print(f"written to {directory}")


def define_flags() -> None:
    flags.DEFINE_string("seeds", "0-4", "Seeds and ranges of seeds, trained at once.")
    flags.DEFINE_multi_enum(
        "objective", ["least_squares", "sigmoid"], list(OBJECTIVES), "May be given several times."
    )
    flags.DEFINE_integer("steps", 35_000, "Iterations.", 1)
    flags.DEFINE_integer("snapshot_every", 5_000, "Iterations between snapshots.", 1)
    flags.DEFINE_string("output_dir", "runs/gaussian_mixture", "Directory, made if it is missing.")


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
