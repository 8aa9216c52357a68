"""python -m lsgan_tf.evaluate --run_dir=R: scores of a run's generator, and comparisons of runs."""

from pathlib import Path

from absl import flags

from lsgan_tf.inference import load
from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError

_IMAGES = flags.DEFINE_integer(
    "images", 50_000, "Images to generate, and real ones to compare with, if there are so many.", 2
)
_FEATURES = flags.DEFINE_string(
    "features",
    "inception-2015",
    "Features to compare: inception-2015, which FID and the Inception score are defined on; "
    "keras:NAME of keras.applications; classifier, trained by lsgan_tf.train_classifier; or the "
    "path of a SavedModel or .keras file.",
)
_FEATURES_FILE = flags.DEFINE_string(
    "features_file", "", "The graph of inception-2015 or the weights of keras:NAME; else fetched."
)
_FEATURES_SHA256 = flags.DEFINE_string(
    "features_sha256", "", "Refuse features whose checksum, kept with every score, is another."
)
_FEATURES_DTYPE = flags.DEFINE_enum(
    "features_dtype",
    "float32",
    ["float32", "bfloat16"],
    "Precision of the features; bfloat16 is faster where the processor has it, and moves scores.",
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 50, "Images at a time, on each device.", 1)
_NEIGHBOURS = flags.DEFINE_integer(
    "neighbours", 10_000, "Images of each kind in the scores that compare pairs.", 2
)
_SEED = flags.DEFINE_integer("seed", 0, "Of the latents and of KID's subsets.", 0, 2**63 - 1)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", "", "Where the data set is; default: where the run was trained from."
)
_LOGICAL_DEVICES = flags.DEFINE_integer(
    "logical_devices", 1, "Split the CPU into this many devices, to try several out.", 1
)
_REAL = flags.DEFINE_boolean(
    "real",
    False,
    "Score the validation split, else the test split, against the training split; of a set without "
    "either, one half of the training split against the other.",
)
_COMPARE = flags.DEFINE_multi_string(
    "compare", [], "Print the scores of these runs side by side, and draw them over steps."
)
_OUTPUT = flags.DEFINE_string("output", "scores.png", "The picture of --compare.")


def main():
    command_line.check_started()
    if _COMPARE.value:
        _compare()
        return
    if _REAL.value and flags.FLAGS.checkpoint != "latest":
        raise UserError("--real scores real images; leave --checkpoint out.")
    run, config, data = load.read_run()
    command_line.start_tensorflow()
    from lsgan_tf.inference import checkpoint_scores
    from lsgan_tf.training import devices

    job = checkpoint_scores.Job(
        run=run,
        config=config,
        data=data,
        choice=_choice(_DATA_DIR.value or config.data_dir),
        settings=_settings(),
        batch_size=_BATCH_SIZE.value,
        strategy=devices.local_strategy(_LOGICAL_DEVICES.value),
        weights=flags.FLAGS.weights,
    )
    if _REAL.value:
        checkpoint_scores.score_real(job)
    else:
        checkpoint_scores.score_checkpoints(job, flags.FLAGS.checkpoint)


def _choice(data_dir):
    from lsgan_tf.metrics.features import Choice

    return Choice(
        features=_FEATURES.value,
        features_file=_FEATURES_FILE.value,
        features_sha256=_FEATURES_SHA256.value,
        features_dtype=_FEATURES_DTYPE.value,
        data_dir=data_dir,
    )


def _settings():
    from lsgan_tf.metrics.scores import Settings

    return Settings(images=_IMAGES.value, neighbours=_NEIGHBOURS.value, seed=_SEED.value)


def _compare():
    from lsgan_tf.runs import comparison
    from lsgan_tf.runs.run_directory import Run

    output = Path(_OUTPUT.value)
    if output.suffix != ".png":
        raise UserError(f"--output={output} must end in .png.")
    runs = [Run(directory) for directory in _COMPARE.value]
    print("\n".join(comparison.table(runs)))
    print(comparison.write_curves(runs, output))


def _parse(argv):
    """Lets --compare take all that follows it, up to the next flag."""
    spread, following = [], False
    for argument in argv:
        if argument.startswith("-"):
            following = argument in ("--compare", "-compare")
            if not following:
                spread.append(argument)
        else:
            spread.append(f"--compare={argument}" if following else argument)
    alone = {"--compare", "-compare"} & set(argv)
    if alone and not any(argument.startswith("--compare=") for argument in spread):
        raise UserError("--compare: which runs? For example --compare runs/ONE runs/OTHER.")
    return command_line.parse_flags(spread)


if __name__ == "__main__":
    load.define_flags()
    flags.adopt_module_key_flags(load)
    command_line.run(main, flags_parser=_parse)
