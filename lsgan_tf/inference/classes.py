"""Class names and ids on the command line: `--labels`."""

import difflib

from lsgan_tf.utils.errors import UserError


def parse_labels(text: str, class_names: tuple[str, ...] | None) -> list[int] | None:
    """Reads class names or ids, separated by commas, as ids; None for an empty text.

    A name has precedence over an id: with classes named "5", "6" and "7", 6 is the second class and
    0 the first. Names of one character may be written without commas. A class may come several
    times.

    Args:
        text: the value of `--labels`.
        class_names: names of the classes, in the order of their ids; None without labels.

    Raises:
        UserError: a part is neither a name nor an id, or the generator has no labels.
    """
    if not text:
        return None
    if class_names is None:
        raise UserError("--labels: this run was trained without --conditional; it has no labels.")
    ids = {name: index for index, name in enumerate(class_names)}
    if text in ids:  # commas and all
        return [ids[text]]
    parts = [part.strip() for part in text.split(",")]
    if "" in parts:
        raise UserError(f"--labels={text}: a name or id is missing before or after a comma.")
    return [label for part in parts for label in _label_ids(part, ids)]


def _label_ids(part, ids):
    if part in ids:
        return [ids[part]]
    together = max(map(len, ids)) == 1
    if together and all(character in ids for character in part):
        return [ids[character] for character in part]
    if part.isascii() and part.isdecimal() and len(part) < 10 and int(part) < len(ids):
        return [int(part)]
    absent = dict.fromkeys(character for character in part if character not in ids)
    if together and len(absent) < len(set(part)):
        hint = f" (no class: {', '.join(absent)})"
    else:
        hint = _nearest(part, ids)
    known = ", ".join(list(ids)[:20])
    if len(ids) > 20:
        known += f", ... ({len(ids)} in all, listed in the run's config.json)"
    raise UserError(
        f"--labels: {part!r} is neither a class name nor an id in 0..{len(ids) - 1}{hint}. "
        f"Class names: {known}."
    )


def _nearest(part, names):
    """Similar names, as a part of a message."""
    folded = {name.casefold(): name for name in names}
    near = [folded[key] for key in difflib.get_close_matches(part.casefold(), folded)]
    return f"; close to it: {', '.join(near)}" if near else ""
