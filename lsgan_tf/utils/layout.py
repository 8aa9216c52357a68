"""Where the recipes and the tools are: beside the package in a checkout, within it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_INSTALLED = (_PACKAGE / "flags").is_dir()

RECIPES = (_PACKAGE if _INSTALLED else _PACKAGE.parent) / "flags"
TOOLS = "lsgan_tf.tools" if _INSTALLED else "tools"  # the package, as of python -m


def with_tools(text: str) -> str:
    """A text whose commands, written for a checkout, name the tools where they are."""
    return text.replace("python -m tools.", f"python -m {TOOLS}.")
