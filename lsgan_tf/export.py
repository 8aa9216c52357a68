"""python -m lsgan_tf.export --run_dir=R: a generator for serving and for other runtimes.

--format=saved_model,space,keras,onnx,litert: a SavedModel that TensorFlow Serving serves, a Hugging
Face Space with the page of the demo, a .keras file, ONNX, LiteRT. Each is compared with the run's
generator; model_card.md says how to use them.
"""

from pathlib import Path

from absl import flags

from lsgan_tf.inference import formats, load
from lsgan_tf.utils import command_line

_FORMAT = flags.DEFINE_list(
    "format", ["saved_model"], f"Formats, separated by commas: {', '.join(formats.FORMATS)}."
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "", "Default: RUN/export.")
_VERSION = flags.DEFINE_integer(
    "version", 1, "Version: the name of the SavedModel, part of the files' names.", lower_bound=1
)


def main():
    command_line.check_started()
    names = formats.check(_FORMAT.value)
    command_line.start_tensorflow()
    from lsgan_tf.inference import exports

    trained = load.load_by_flags()
    directory = Path(_OUTPUT_DIR.value or trained.run.exports)
    written, card = exports.write(trained, directory, _VERSION.value, names)
    print(f"{directory}: {trained.weights} weights of step {trained.step}")
    print("\n".join(command_line.aligned([_row(one) for one in written])))
    if "saved_model" in names:
        print(f"Look at it with  saved_model_cli show --all --dir {written[0].path}")
    print(f"{card}: how to use them; fill in the license.")


def _row(one):
    return (
        f"  {one.path}",
        f"{one.size / 1e6:.2f} MB",
        f"{one.milliseconds:.2f} ms an image",
        f"differs by {one.levels} of 255 grey levels in {one.share:.3%} of the values",
    )


if __name__ == "__main__":
    load.define_flags()
    flags.adopt_module_key_flags(load)
    command_line.run(main)
