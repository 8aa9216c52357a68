"""The Gaussian mixture experiment of ICCV 2017: LSGAN and the regular GAN, several seeds each.

    python -m tools.mixture_runs --work_dir=NEW --seeds=5

Trains both objectives from every seed with the settings of flags/mixture.flags and
flags/mixture_gan.flags, draws 5,120 points every 5,000 steps and measures how they cover the
mixture. A run that is complete in --work_dir is not repeated. Writes there RUN.npz (steps, points),
results.json, mixture_density.png (first seed: a column for each snapshot, then the data) and
mixture_seeds.png (all seeds at the end); prints a table.
"""

import dataclasses
import io
import json
import time
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image, ImageDraw, ImageFont

from lsgan_tf.config import Config
from lsgan_tf.inference import density
from lsgan_tf.utils import command_line, files, images
from lsgan_tf.utils.errors import UserError

SETTINGS = {
    "dataset": "mixture",
    "network": "mixture",
    "schedule": "simultaneous",
    "batch_size": 512,
    "learning_rate": 1e-3,
    "discriminator_learning_rate": 1e-4,
    "distribution": "one_device",
}
OBJECTIVES = {"lsgan": {"objective": "binary"}, "gan": {"objective": "sigmoid"}}
POINTS = 5120
_STEPS_A_CALL = 500
_TILE = 160  # pixels
_HEADER = 20

_WORK_DIR = flags.DEFINE_string("work_dir", "", "Directory to work in; made if it is not there.")
_SEEDS = flags.DEFINE_integer("seeds", 5, "Runs of each objective.", 1)
_TRAIN_STEPS = flags.DEFINE_integer("train_steps", 35_000, "Steps of a run.", 1)
_SNAPSHOT_EVERY = flags.DEFINE_integer("snapshot_every", 5_000, "Steps between snapshots.", 1)


def main():
    if not _WORK_DIR.value:
        raise UserError("--work_dir is missing: where shall the runs go?")
    directory = Path(_WORK_DIR.value)
    directory.mkdir(parents=True, exist_ok=True)
    command_line.start_tensorflow()
    steps = _snapshot_steps(_TRAIN_STEPS.value, _SNAPSHOT_EVERY.value)
    runs = {}
    for seed in range(_SEEDS.value):  # seed by seed, so that an early end leaves pairs
        for name in OBJECTIVES:
            runs[name, seed] = _finished(directory / f"{name}-{seed}.npz", name, seed, steps)
    results = [_result(name, seed, steps, points) for (name, seed), points in runs.items()]
    files.write_bytes(directory / "results.json", json.dumps(results, indent=1).encode())
    _write_pictures(directory, runs, steps)
    print(table(results))


def _snapshot_steps(train_steps, every):
    """0, then every so many steps, and the last one."""
    return sorted({*range(0, train_steps, every), train_steps})


def _finished(path, name, seed, steps):
    """The points of a run at each of the steps, float32 [steps, N, 2]; trained if not yet there.

    Raises:
      UserError: if the file is of other steps.
    """
    if not path.exists():
        start = time.perf_counter()
        points = train(_config(name, seed), steps)
        with files.replacing(path) as file:
            np.savez_compressed(file, steps=steps, points=points)
        print(f"{path}: {steps[-1]} steps in {time.perf_counter() - start:.0f} s", flush=True)
    with np.load(path, allow_pickle=False) as stored:
        if stored["steps"].tolist() != steps:
            raise UserError(
                f"{path} has snapshots of steps {stored['steps'].tolist()}, not {steps}. Give the "
                "same flags, or another --work_dir."
            )
        return stored["points"]


def _config(name, seed):
    return Config(**SETTINGS, **OBJECTIVES[name], seed=seed)


def train(config, steps):
    """Trains a run and draws its points at the given steps: float32 [len(steps), POINTS, 2]."""
    from lsgan_tf import datasets
    from lsgan_tf.inference import sampler
    from lsgan_tf.training import build, devices

    strategy = devices.strategy(config)
    dataset = datasets.load(config.dataset, config.data_dir)
    with strategy.scope():
        gan = build.gan(config, dataset.image_shape, dataset.class_names)
    iterator = iter(
        strategy.distribute_datasets_from_function(
            lambda context: dataset.batches(seed=config.seed, step=0, batch_size=config.batch_size)
        )
    )
    sampler = sampler.Sampler(gan.generator, batch_size=POINTS)
    z = sampler.draw_latents(gan.generator, POINTS, config.seed)
    snapshots, done = [], 0
    for step in steps:
        while done < step:
            count = min(_STEPS_A_CALL, step - done)
            gan.run_steps(iterator, count)
            done += count
        snapshots.append(sampler(z))
    return np.stack(snapshots)


def _result(name, seed, steps, points):
    from lsgan_tf.datasets.mixture import coverage

    measured = [{"step": s, **coverage(p)._asdict()} for s, p in zip(steps, points, strict=True)]
    config = dataclasses.asdict(_config(name, seed))
    return {"objective": name, "seed": seed, "config": config, "snapshots": measured}


def table(results):
    """One line a run: the measures of its last snapshot, and the modes found at each of them."""
    lines = [
        "run      modes(3sd)  modes(0.1)  share in 3sd  share in 0.1  modes(0.1) at each snapshot"
    ]
    for result in results:
        last = result["snapshots"][-1]
        found = " ".join(str(snapshot["modes_within_0_1"]) for snapshot in result["snapshots"])
        lines.append(
            f"{result['objective'] + '-' + str(result['seed']):8} {last['modes']:10} "
            f"{last['modes_within_0_1']:11} {last['within_3_deviations']:13.3f} "
            f"{last['within_0_1']:13.3f}  {found}"
        )
    return "\n".join(lines)


def _write_pictures(directory, runs, steps):
    from lsgan_tf.datasets.mixture import Mixture

    target, _ = Mixture().first_images(POINTS)
    over_time = [[*runs[name, 0], target] for name in OBJECTIVES]
    headers = [*(f"step {step:,}" for step in steps), "target"]
    _write_sheet(directory / "mixture_density.png", over_time, headers)
    seeds = sorted({seed for _, seed in runs})
    at_the_end = [[*(runs[name, seed][-1] for seed in seeds), target] for name in OBJECTIVES]
    headers = [*(f"seed {seed}" for seed in seeds), "target"]
    _write_sheet(directory / "mixture_seeds.png", at_the_end, headers)


def _write_sheet(path, rows, headers):
    """Densities of points in rows and columns, one row for each objective, with names."""
    tiles = [density.picture(points, _TILE) for row in rows for points in row]
    grid = images.grid(np.stack(tiles), len(headers))
    sheet = Image.new("RGB", (grid.shape[1] + _HEADER, grid.shape[0] + _HEADER), "white")
    sheet.paste(Image.fromarray(grid), (_HEADER, _HEADER))
    font = ImageFont.load_default(13)
    for column, header in enumerate(headers):
        middle = _HEADER + 2 + column * (_TILE + 2) + _TILE // 2
        ImageDraw.Draw(sheet).text((middle, 3), header, "black", font, anchor="ma")
    for row, name in enumerate(OBJECTIVES):
        label = Image.new("RGB", (_TILE, _HEADER), "white")
        ImageDraw.Draw(label).text((_TILE // 2, 3), name.upper(), "black", font, anchor="ma")
        sheet.paste(label.rotate(90, expand=True), (0, _HEADER + 2 + row * (_TILE + 2)))
    buffer = io.BytesIO()
    sheet.quantize(64).save(buffer, "PNG", optimize=True)  # 30 greens and some greys
    files.write_bytes(path, buffer.getvalue())


if __name__ == "__main__":
    command_line.run(main)
