"""python -m lsgan_tf.sample --run_dir=R: pictures from a trained generator."""

from pathlib import Path

from absl import flags

from lsgan_tf import command, generators
from lsgan_tf.errors import UserError

_DEFAULT_NUM = 64
_NUM = flags.DEFINE_integer(
    "num",
    None,
    "Pictures, 64 by default, or points, 5120; with --interpolate, latents on the way.",
    1,
)
_SEED = flags.DEFINE_integer("seed", 0, "Of the latents.", 0, 2**63 - 1)
_COLUMNS = flags.DEFINE_integer("columns", 0, "Columns of the grid; default a square.", 0)
_LABELS = flags.DEFINE_string(
    "labels", "", "Class names or ids of a conditional run, separated by commas; one column each."
)
_INTERPOLATE_KINDS = ("strip", "gif")
_INTERPOLATE = flags.DEFINE_enum(
    "interpolate", "", ["", *_INTERPOLATE_KINDS], "Walk from latent to latent: a strip or a GIF."
)
_FRAMES = flags.DEFINE_integer("frames", 10, "Pictures from one latent to the next.", 2)
_SEPARATE = flags.DEFINE_boolean("separate", False, "One PNG per picture, in a directory.")
_OUTPUT = flags.DEFINE_string("output", "", "File, or directory with --separate; default in R.")


def main():
    _check()
    command.start_tensorflow()
    from lsgan_tf import sampling

    trained = generators.from_flags()
    sampler = sampling.Sampler(trained.generator)
    labels = generators.parse_labels(_LABELS.value, trained.class_names)
    enough = sampler.kind.enough  # 0 of images, which are looked at one by one
    if enough:
        _check_images_only()
    z = sampling.draw_latents(trained.generator, _NUM.value or enough or _DEFAULT_NUM, _SEED.value)
    if enough:
        path = _points(trained, sampler, z)
    else:
        path = (_walk if _INTERPOLATE.value else _still)(trained, sampler, z, labels)
    print(f"{path}: {trained.weights} weights of step {trained.step}, seed {_SEED.value}")


def _check():
    if _INTERPOLATE.value and _SEPARATE.value:
        raise UserError("--interpolate and --separate: choose one.")
    if _INTERPOLATE.value and _NUM.value == 1:
        raise UserError("--interpolate needs --num=2 or more latents to walk between.")


def _check_images_only():
    """Refuses the flags that lay out pictures of one sample each."""
    for flag in (_INTERPOLATE, _SEPARATE, _COLUMNS):
        if flag.value:
            raise UserError(f"--{flag.name} is for images; this run's generator makes points.")


def _points(trained, sampler, z):
    """A picture of their density, and the points themselves beside it as .npy."""
    from lsgan_tf import sampling

    points = sampler(z)
    path = _path(trained, ".png")
    sampling.write_array(path.with_suffix(".npy"), points)
    return sampling.write_picture(path, sampler.kind.picture(points, columns=1))


def _still(trained, sampler, z, labels):
    """A grid, or separate pictures."""
    from lsgan_tf import sampling

    columns = _COLUMNS.value or (len(labels) if labels else _default_columns(trained))
    chosen = sampling.labels_for(len(z), columns, trained.generator.num_classes, labels)
    pictures = sampler(z, chosen)
    if _SEPARATE.value:
        return sampling.write_separately(_path(trained, ""), pictures)
    return sampling.write_grid(_path(trained, ".png"), pictures, columns)


def _walk(trained, sampler, z, labels):
    """A strip, one row from each latent to the next, or a GIF through all of them."""
    from lsgan_tf import sampling

    frames = sampling.interpolate(z, _FRAMES.value, trained.generator.latent_distribution)
    chosen = sampling.labels_for(len(z), len(z), trained.generator.num_classes, labels)
    if chosen is not None:
        chosen = chosen[:-1].repeat(_FRAMES.value)
    pictures = sampler(frames, chosen)
    if _INTERPOLATE.value == "gif":
        return sampling.write_gif(_path(trained, ".gif"), pictures)
    return sampling.write_grid(_path(trained, ".png"), pictures, _FRAMES.value)


def _default_columns(trained):
    from lsgan_tf import sampling

    if trained.class_names is not None:
        return sampling.grid_size(len(trained.class_names))[1]
    return max(1, round((_NUM.value or _DEFAULT_NUM) ** 0.5))


def _path(trained, ending):
    if _OUTPUT.value:
        return Path(_OUTPUT.value)
    kind = _INTERPOLATE.value or "sample"
    name = f"{kind}-{trained.step:07d}-{trained.weights}-seed{_SEED.value}"
    return trained.run.directory / f"{name}{ending}"


def _parse(argv):
    """Lets --interpolate stand alone, for a strip."""
    kinds = _INTERPOLATE_KINDS
    following = [*argv[1:], ""]
    return command.parse_flags(
        [
            "--interpolate=strip" if part == "--interpolate" and after not in kinds else part
            for part, after in zip(argv, following, strict=True)
        ]
    )


if __name__ == "__main__":
    generators.define_flags()
    flags.adopt_module_key_flags(generators)
    command.run(main, flags_parser=_parse)
