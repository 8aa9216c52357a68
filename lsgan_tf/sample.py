"""python -m lsgan_tf.sample --run_dir=R: pictures from a trained generator."""

import sys
from pathlib import Path

import numpy as np
from absl import flags

from lsgan_tf.inference import classes, load, picture_files
from lsgan_tf.runs import timelapse
from lsgan_tf.utils import command_line, images
from lsgan_tf.utils.errors import UserError, printable

_DEFAULT_NUM = 64
_NUM = flags.DEFINE_integer(
    "num",
    None,
    "Pictures, 64 by default, of a conditional run 8 rows, or one of each class at least with "
    "--separate or .npz; with --interpolate, latents on the way.",
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
    "of one character also together. One column each, or in turn with --separate or .npz. all: "
    "each class; data: as frequent as in the data set, with --separate or .npz. A class named all "
    "or data goes by its id.",
)
_REALS = flags.DEFINE_boolean(
    "reals",
    None,
    "A real example of each column's class above the grid; by default for a conditional run if its "
    "data set is there.",
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    "",
    "Where the data set of --reals and --labels=data is; default: where the run was trained from.",
)
_INTERPOLATE_KINDS = ("strip", "gif")
_INTERPOLATE = flags.DEFINE_enum(
    "interpolate", "", ["", *_INTERPOLATE_KINDS], "Walk from latent to latent: a strip or a GIF."
)
_FRAMES = flags.DEFINE_integer("frames", 10, "Pictures from one latent to the next.", 2)
_SEPARATE = flags.DEFINE_boolean(
    "separate", False, "One PNG per picture, in a directory; with labels, and a labels.csv of them."
)
_TIMELAPSE = flags.DEFINE_enum(
    "timelapse",
    "",
    ["", *timelapse.KINDS],
    "How training changed the pictures of fixed latents, from R/samples: a GIF, or rows of a PNG.",
)
_SCALE = flags.DEFINE_integer(
    "scale", 1, "Show each pixel as a square of this side, in grids, strips and animations.", 1, 16
)
_OUTPUT = flags.DEFINE_string(
    "output",
    "",
    "File: .png or .jpg of a grid or strip, .gif, or .npz of an array of pictures (arr_0, uint8 "
    "[N, H, W, C]) and their labels; or directory with --separate; default in R.",
)

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
    labels = _parse_labels(trained)
    count, latents_at = _latents(trained, labels)
    _check_labels(trained, labels, count)
    draw = _walk if _INTERPOLATE.value else _many if _of_many() else _grid
    path = draw(trained, generate, count, latents_at, labels)
    print(f"{path}: {trained.weights} weights of step {trained.step}, {_describe_latents(' ')}")


def _write_timelapse():
    given = (flags.FLAGS[name] for name in _OF_A_GENERATOR)
    refused = ", ".join(f"--{flag.name}" for flag in given if flag.value != flag.default)
    if refused:
        raise UserError(
            f"--timelapse shows the grids that training has written; leave {refused} out."
        )
    ending = f".{_TIMELAPSE.value}"
    _check_ending([ending], f" with --timelapse={_TIMELAPSE.value}")
    run, _, _ = load.read_run()
    path = Path(_OUTPUT.value or run.directory / f"timelapse{ending}")
    steps = timelapse.write(run, _TIMELAPSE.value, path, _SCALE.value)
    print(f"{path}: grids shown: {len(steps)}, from step {steps[0]} to {steps[-1]}")


def _check():
    if _INTERPOLATE.value and _SEPARATE.value:
        raise UserError("--interpolate and --separate: choose one.")
    if _LATENTS.value and (_NUM.value or flags.FLAGS["seed"].value != flags.FLAGS["seed"].default):
        raise UserError("--latents brings its own latents; leave --num and --seed out.")
    if _INTERPOLATE.value and _NUM.value == 1:
        raise UserError("--interpolate needs --num=2 or more latents to walk between.")
    _check_output()
    for flag in (_REALS, _COLUMNS):
        if flag.value and (_INTERPOLATE.value or _of_many()):
            raise UserError(
                f"--{flag.name} goes with a grid, without --interpolate, --separate and .npz."
            )
    if _SCALE.value > 1 and _of_many():
        raise UserError("--scale is for looking; --separate and .npz keep the pictures' own size.")
    if _LABELS.value == classes.OF_DATA and not _of_many():
        raise UserError(
            "--labels=data is for many pictures, with --separate or an --output ending in .npz; "
            "elsewhere each column is of one class. A class named data goes by its id."
        )


def _check_output():
    if _SEPARATE.value:
        ending = Path(_OUTPUT.value).suffix.lower()
        if ending in (*picture_files.PICTURES, picture_files.ANIMATION, picture_files.ARRAY):
            raise UserError(f"--output={_OUTPUT.value} must be a folder with --separate.")
    elif _INTERPOLATE.value == "gif":
        _check_ending([picture_files.ANIMATION], " with --interpolate=gif")
    elif _INTERPOLATE.value:
        _check_ending(picture_files.PICTURES, " with --interpolate")
    else:
        _check_ending([*picture_files.PICTURES, picture_files.ARRAY])


def _check_ending(endings, why=""):
    if _OUTPUT.value:
        picture_files.check_ending(Path(_OUTPUT.value), endings, why)


def _of_many():
    """Whether any number of pictures is asked for, each by itself."""
    return _SEPARATE.value or Path(_OUTPUT.value).suffix.lower() == picture_files.ARRAY


def _parse_labels(trained):
    """The classes that --labels names, or None."""
    text = _LABELS.value
    hidden = classes.hidden_by_word(text, trained.class_names)
    if hidden:
        print(
            f"--labels={text} is each class{' as often as in the data' * (text != classes.ALL)}; "
            f"to mean classes of that name: --labels={','.join(map(str, hidden))}",
            file=sys.stderr,
        )
    return classes.parse_labels(text, trained.class_names)


def _latents(trained, labels):
    """How many latents there are, and what gives those of numbers `start` to `stop`."""
    from lsgan_tf.inference import sampler

    truncation = np.float32(_TRUNCATION.value)
    if _LATENTS.value:
        z = sampler.read_latents(Path(_LATENTS.value), trained.generator.latent_dim)
        return len(z), lambda start, stop: z[start:stop] * truncation

    def draw(start, stop):
        drawn = sampler.draw_latents(trained.generator, stop - start, _SEED.value, start)
        return drawn * truncation

    return _NUM.value or _default_num(trained, labels), draw


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


def _grid(trained, generate, count, latents_at, labels):
    columns = min(_columns(trained, labels), count)
    chosen = _labels_for(trained, count, columns, labels)
    reals = None if chosen is None else _reals(trained, chosen[:columns])
    pictures = generate(latents_at(0, count), chosen)
    path = _path(trained, labels, ".png")
    return picture_files.write_grid(path, pictures, columns, reals, _SCALE.value)


def _many(trained, generate, count, latents_at, labels):
    """Separate pictures, or an array of them: a batch at a time."""
    from lsgan_tf.inference import sampler

    if _LABELS.value == classes.OF_DATA:
        chosen = _labels_of_data(trained, count)
    else:
        chosen = _labels_for(trained, count, count, labels)
    path, names = _path(trained, labels, ""), trained.class_names
    batches = sampler.batches(generate, latents_at, count, chosen)
    if _SEPARATE.value:
        return picture_files.write_separately(path, batches, count, chosen, names or ())
    shape = count, *trained.generator.image_shape
    return picture_files.write_array(path, batches, shape, chosen)


def _labels_for(trained, count, columns, labels):
    """The label of each picture, one of each column; says so if that leaves classes out."""
    from lsgan_tf.inference import sampler

    names = trained.class_names
    chosen = sampler.labels_for(count, columns, trained.generator.num_classes, labels)
    shown = 0 if chosen is None else len(np.unique(chosen))
    if chosen is not None and not labels and shown < len(names):
        some = ", ".join(names[: min(shown, 10)]) + ", ..." * (shown > 10)
        print(
            printable(
                f"the first {shown} of {len(names)} classes are shown ({some}); --labels=all shows "
                "each, --labels=NAMES others"
            ),
            file=sys.stderr,
        )
    return chosen


def _labels_of_data(trained, count):
    try:
        return classes.labels_of_data(trained.run, count, _SEED.value, _DATA_DIR.value)
    except UserError as error:
        raise UserError(f"--labels=data: {error}") from error


def _reals(trained, labels):
    """A real example of each label, or None if they are not wanted, or neither there nor asked
    for."""
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


def _walk(trained, generate, count, latents_at, labels):
    """A strip, one row from each latent to the next, or a GIF through all of them."""
    from lsgan_tf.inference import sampler

    distribution = trained.generator.latent_distribution
    frames = sampler.interpolate(latents_at(0, count), _FRAMES.value, distribution)
    chosen = _labels_for(trained, count - 1, count - 1, labels)
    pictures = generate(frames, None if chosen is None else chosen.repeat(_FRAMES.value))
    if _INTERPOLATE.value == "gif":
        return picture_files.write_gif(_path(trained, labels, ".gif"), pictures, _SCALE.value)
    path = _path(trained, labels, ".png")
    return picture_files.write_grid(path, pictures, _FRAMES.value, scale=_SCALE.value)


def _columns(trained, labels):
    if _COLUMNS.value:
        return _COLUMNS.value
    if labels:
        return len(labels)
    if trained.class_names is not None:
        return images.grid_size(len(trained.class_names))[1]
    return max(1, round((_NUM.value or _DEFAULT_NUM) ** 0.5))


def _default_num(trained, labels):
    """As many as have room for each class; of a grid, whose columns are classes, as fill it."""
    names = trained.class_names
    if _INTERPOLATE.value:
        return max(_DEFAULT_NUM, len(labels or names or ()) + 1)
    if names is None or _of_many():
        return max(_DEFAULT_NUM, len(labels or names or ()))
    return images.GRID_ROWS * _columns(trained, labels)


def _path(trained, labels, ending):
    if _OUTPUT.value:
        return Path(_OUTPUT.value)
    kind = _INTERPOLATE.value or "sample"
    parts = [kind, f"{trained.step:07d}", trained.weights, _describe_latents("")]
    if labels:
        parts.insert(3, picture_files.safe_names([trained.class_names[id] for id in labels]))
    elif _LABELS.value:
        parts.insert(3, "as-in-data")
    return trained.run.directory / f"{'-'.join(parts)}{ending}"


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
