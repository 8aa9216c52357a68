"""python -m lsgan_tf.export --run_dir=R: a SavedModel that TensorFlow Serving serves."""

from pathlib import Path

from absl import flags

from lsgan_tf.inference import load
from lsgan_tf.utils import command_line

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "", "Default: RUN/export.")
_VERSION = flags.DEFINE_integer("version", 1, "Version: the directory's name.", lower_bound=1)


def main():
    command_line.check_started()
    command_line.start_tensorflow()
    from lsgan_tf.inference import serving

    trained = load.load_by_flags()
    directory = Path(_OUTPUT_DIR.value or trained.run.exports) / str(_VERSION.value)
    serving.save(serving.Server(trained.generator, trained.class_names), directory)
    print(
        f"{directory}: {trained.weights} weights of step {trained.step}. Look at it with\n"
        f"  saved_model_cli show --all --dir {directory}"
    )


if __name__ == "__main__":
    load.define_flags()
    flags.adopt_module_key_flags(load)
    command_line.run(main)
