"""python -m lsgan_tf.export --run_dir=R: a SavedModel that TensorFlow Serving serves."""

from pathlib import Path

from absl import flags

from lsgan_tf import command

_RUN_DIR = flags.DEFINE_string("run_dir", "", "The run directory.")
_CHECKPOINT = flags.DEFINE_string("checkpoint", "latest", "Checkpoint: a step, or latest.")
_WEIGHTS = flags.DEFINE_enum(
    "weights", "auto", ["auto", "raw", "ema"], "auto: the averaged ones where the run has them."
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "", "Default: RUN/export.")
_VERSION = flags.DEFINE_integer("version", 1, "Version: the directory's name.", lower_bound=1)


def main():
    command.start_tensorflow()
    from lsgan_tf import generators, serving

    trained = generators.load(_RUN_DIR.value, checkpoint=_CHECKPOINT.value, weights=_WEIGHTS.value)
    directory = Path(_OUTPUT_DIR.value or trained.run.exports) / str(_VERSION.value)
    serving.save(serving.Server(trained.generator, trained.class_names), directory)
    print(
        f"{directory}: {trained.weights} weights of step {trained.step}. Look at it with\n"
        f"  saved_model_cli show --all --dir {directory}"
    )


if __name__ == "__main__":
    command.run(main)
