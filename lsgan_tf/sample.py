"""python -m lsgan_tf.sample --run_dir=R: pictures from a trained generator."""

import sys
from pathlib import Path

import numpy as np
from absl import flags

from lsgan_tf.inference import load
from lsgan_tf.inference.classes import parse_labels
from lsgan_tf.runs import timelapse
from lsgan_tf.utils import command_line, images
from lsgan_tf.utils.errors import UserError, printable

_DEFAULT_NUM = 64
_NUM = flags.DEFINE_integer(
    "num",
    None,
    "Pictures, 64 by default, of a conditional run 8 rows; with --interpolate, latents on the way.",
    1,
)
_SEED = flags.DEFINE_integer("seed", 0, "Of the latents.", 0, 2**63 - 1)
_LATENTS = flags.DEFINE_string(
    "latents",
    "",
    "A .npy file of latents [N, latent_dim] in place of random ones, for example "
    "R/samples/latents.npy, those of the run's own grids.",
)
_TRUNCATION = flags.DEFINE_float(
    "truncation",
    1.0,
    "What the latents are multiplied by: below 1 they are nearer to their mean, and the pictures "
    "more ordinary and less various.",
    0.0,
    1.0,
)
_COLUMNS = flags.DEFINE_integer("columns", 0, "Columns of the grid; default a square.", 0)
_LABELS = flags.DEFINE_string(
    "labels",
    "",
    "Class names (or ids, where no name is meant) of a conditional run, separated by commas; names "
    "of one character also together. One column each.",
)
_REALS = flags.DEFINE_boolean(
    "reals",
    None,
    "A real example of each column's class above the grid; by default for a conditional run if its "
    "data set is there.",
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", "", "Where the data set of --reals is; default: where the run was trained from."
)
_INTERPOLATE_KINDS = ("strip", "gif")
_INTERPOLATE = flags.DEFINE_enum(
    "interpolate", "", ["", *_INTERPOLATE_KINDS], "Walk from latent to latent: a strip or a GIF."
)
_FRAMES = flags.DEFINE_integer("frames", 10, "Pictures from one latent to the next.", 2)
_SEPARATE = flags.DEFINE_boolean("separate", False, "One PNG per picture, in a directory.")
_TIMELAPSE = flags.DEFINE_enum(
    "timelapse",
    "",
    ["", *timelapse.KINDS],
    "How training changed the pictures of fixed latents, from R/samples: a GIF, or rows of a PNG.",
)
_OUTPUT = flags.DEFINE_string("output", "", "File, or directory with --separate; default in R.")

# What a timelapse, which needs no generator, does not go with.
_OF_A_GENERATOR = (
    "num", "seed", "latents", "truncation", "columns", "labels", "reals", "data_dir",
    "interpolate", "frames", "separate", "checkpoint", "weights",
)  # fmt: skip


def main():
    command_line.check_started()
    if _TIMELAPSE.value:
        _write_timelapse()
        return
    _check()
    command_line.start_tensorflow()
    from lsgan_tf.inference import sampler

    trained = load.load_by_flags()
    generate = sampler.Sampler(trained.generator)
    labels = parse_labels(_LABELS.value, trained.class_names)
    z = _draw_latents(trained, labels)
    _check_labels(trained, labels, len(z))
    draw = _walk if _INTERPOLATE.value else _still
    path = draw(trained, generate, z, labels)
    print(f"{path}: {trained.weights} weights of step {trained.step}, {_describe_latents(' ')}")


def _write_timelapse():
    given = (flags.FLAGS[name] for name in _OF_A_GENERATOR)
    refused = ", ".join(f"--{flag.name}" for flag in given if flag.value != flag.default)
    if refused:
        raise UserError(
            f"--timelapse shows the grids that training has written; leave {refused} out."
        )
    run, _, _ = load.read_run()
    path = Path(_OUTPUT.value or run.directory / f"timelapse.{_TIMELAPSE.value}")
    steps = timelapse.write(run, _TIMELAPSE.value, path)
    print(f"{path}: grids shown: {len(steps)}, from step {steps[0]} to {steps[-1]}")


def _check():
    if _INTERPOLATE.value and _SEPARATE.value:
        raise UserError("--interpolate and --separate: choose one.")
    if _LATENTS.value and (_NUM.value or flags.FLAGS["seed"].value != flags.FLAGS["seed"].default):
        raise UserError("--latents brings its own latents; leave --num and --seed out.")
    if _INTERPOLATE.value and _NUM.value == 1:
        raise UserError("--interpolate needs --num=2 or more latents to walk between.")
    if _REALS.value and (_INTERPOLATE.value or _SEPARATE.value):
        raise UserError("--reals goes with a grid, without --interpolate and --separate.")


def _draw_latents(trained, labels):
    from lsgan_tf.inference import sampler

    if _LATENTS.value:
        z = sampler.read_latents(Path(_LATENTS.value), trained.generator.latent_dim)
    else:
        count = _NUM.value or _default_num(trained, labels)
        z = sampler.draw_latents(trained.generator, count, _SEED.value)
    return z * np.float32(_TRUNCATION.value)


def _describe_latents(space):
    """Where the latents come from, for a message or for a file's name."""
    stem = Path(_LATENTS.value).stem
    words = f"latents{space or '-'}{stem}" if stem else f"seed{space}{_SEED.value}"
    if _TRUNCATION.value == 1.0:
        return words
    return f"{words}{',' if space else '-'}{space}truncation{space}{_TRUNCATION.value:g}"


def _check_labels(trained, labels, count):
    """Refuses what would silently leave classes out, and classes where there are none."""
    if _REALS.value and trained.class_names is None:
        raise UserError(
            "--reals: this run was trained without --conditional; see its reals.png instead."
        )
    wanted = len(labels or ())
    if _INTERPOLATE.value and wanted > count - 1:
        raise UserError(f"--labels names {wanted} classes, --num={count} makes {count - 1} walks.")
    if wanted > count:
        raise UserError(f"--labels names {wanted} classes, --num={count} has no room for them.")
    if wanted and 0 < _COLUMNS.value < wanted:
        raise UserError(
            f"--labels names {wanted} classes, one column each: --columns={_COLUMNS.value} has no "
            "room for them."
        )


def _still(trained, generate, z, labels):
    """A grid, or separate pictures."""
    from lsgan_tf.inference import sampler

    columns = min(_columns(trained, labels), len(z))
    chosen = sampler.labels_for(len(z), columns, trained.generator.num_classes, labels)
    if _SEPARATE.value:
        return sampler.write_separately(_path(trained, ""), generate(z, chosen))
    reals = None if chosen is None else _reals(trained, chosen[:columns])
    return sampler.write_grid(_path(trained, ".png"), generate(z, chosen), columns, reals)


def _reals(trained, labels):
    """A real example of each label, or None if they are not wanted, or neither there nor asked
    for."""
    from lsgan_tf.inference import classes

    if _REALS.value is False:
        return None
    try:
        at_most = None if _REALS.value else classes.SEARCHED
        return classes.read_examples(trained.run, labels, _DATA_DIR.value, at_most=at_most)
    except UserError as error:
        if _REALS.value:
            raise UserError(f"--reals: {error}") from error
        print(printable(f"without real examples: {error}"), file=sys.stderr)
        return None


def _walk(trained, generate, z, labels):
    """A strip, one row from each latent to the next, or a GIF through all of them."""
    from lsgan_tf.inference import sampler

    frames = sampler.interpolate(z, _FRAMES.value, trained.generator.latent_distribution)
    chosen = sampler.labels_for(len(z), len(z), trained.generator.num_classes, labels)
    if chosen is not None:
        chosen = chosen[:-1].repeat(_FRAMES.value)
    pictures = generate(frames, chosen)
    if _INTERPOLATE.value == "gif":
        return sampler.write_gif(_path(trained, ".gif"), pictures)
    return sampler.write_grid(_path(trained, ".png"), pictures, _FRAMES.value)


def _columns(trained, labels):
    if _COLUMNS.value:
        return _COLUMNS.value
    if labels:
        return len(labels)
    if trained.class_names is not None:
        return images.grid_size(len(trained.class_names))[1]
    return max(1, round((_NUM.value or _DEFAULT_NUM) ** 0.5))


def _default_num(trained, labels):
    """As many as fill the grid, where its columns are classes."""
    if trained.class_names is None or _INTERPOLATE.value or _SEPARATE.value:
        return max(_DEFAULT_NUM, len(labels or ()))
    return images.GRID_ROWS * _columns(trained, labels)


def _path(trained, ending):
    if _OUTPUT.value:
        return Path(_OUTPUT.value)
    kind = _INTERPOLATE.value or "sample"
    name = f"{kind}-{trained.step:07d}-{trained.weights}-{_describe_latents('')}"
    return trained.run.directory / f"{name}{ending}"


def _parse(argv):
    """Lets --interpolate stand alone, for a strip."""
    kinds = _INTERPOLATE_KINDS
    following = [*argv[1:], ""]
    return command_line.parse_flags(
        [
            "--interpolate=strip" if part == "--interpolate" and after not in kinds else part
            for part, after in zip(argv, following, strict=True)
        ]
    )


if __name__ == "__main__":
    load.define_flags()
    flags.adopt_module_key_flags(load)
    command_line.run(main, flags_parser=_parse)
