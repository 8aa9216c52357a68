"""lsgan COMMAND: runs a command of the package, as python -m runs its module."""

import runpy
import sys

import lsgan_tf
from lsgan_tf.utils import command_line
from lsgan_tf.utils.layout import TOOLS

# In the order of use; python -m MODULE is the same command.
COMMANDS = {
    "convert-images": (f"{TOOLS}.convert_images", "your own images, or an .npz, to a data set"),
    "convert-lsun": (f"{TOOLS}.convert_lsun", "LSUN's scenes to a data set"),
    "convert-hwdb": (f"{TOOLS}.convert_hwdb", "CASIA-HWDB's characters to a data set"),
    "convert-cats": (f"{TOOLS}.convert_cats", "the CAT archive's faces to a data set"),
    "inspect": (f"{TOOLS}.inspect", "what is in a folder or archive of your images"),
    "verify": (f"{TOOLS}.verify_dataset", "check a converted data set, and draw some of it"),
    "train": ("lsgan_tf.train", "train a GAN, or go on with a run"),
    "sample": ("lsgan_tf.sample", "draw pictures, interpolations, timelapses of a run"),
    "classify": ("lsgan_tf.train_classifier", "train a classifier whose features score GANs"),
    "demo": ("lsgan_tf.demo", "play with a run's generator in the browser"),
    "evaluate": ("lsgan_tf.evaluate", "score a run: FID and its kind; compare runs"),
    "reproduce": ("lsgan_tf.reproduce", "run the papers' claims, and report"),
    "export": ("lsgan_tf.export", "a run's generator as a model to serve"),
}


def main() -> None:
    """Runs the command that `sys.argv` names; ends the process with status 1 if there is none."""
    name, arguments = (sys.argv[1:] or ["--help"])[0], sys.argv[2:]
    if name in ("--help", "-h", "help"):
        print(_help())
    elif name == "--version":
        print(f"lsgan-tf {lsgan_tf.__version__}")
    elif name in COMMANDS:
        module, _ = COMMANDS[name]
        sys.argv = [name, *arguments]  # runpy puts the module's file in the name's place
        # In place of this module as __main__: the processes of a pool import that one.
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.exit(f"error: lsgan has no command {name!r}. It has: {' '.join(COMMANDS)}")


def _help() -> str:
    rows = [(f"  {name}", what) for name, (_, what) in COMMANDS.items()]
    return "\n".join(
        [
            "Least-squares GANs for Keras and TensorFlow.",
            "",
            "  lsgan COMMAND --FLAG=VALUE ...",
            "  lsgan COMMAND --help    the flags of a command",
            "  lsgan --version",
            "",
            *command_line.aligned(rows),
            "",
            "A first run: lsgan train --dataset=printed_digits, then",
            "lsgan sample --run_dir=runs/printed_digits. Ctrl-C saves and stops, the same command",
            "resumes. lsgan train --list_recipes prints the experiments of the papers.",
        ]
    )


if __name__ == "__main__":
    main()
