"""JSON read into dataclasses: the annotation of a field says what it may hold.

    @dataclasses.dataclass(frozen=True)
    class Best:
        step: int
        value: float

    best = typed_json.load(Path("best.json"), Best)

The text may be damaged, edited or hostile, so that every value is checked. Types are strict: a bool
is no int; only a whole number may stand for a float. Bounds belong into `__post_init__`, which
raises `ValueError`. NaN and infinity are floats, as Python's `json` writes and reads them.
"""

import dataclasses
import functools
import json
import reprlib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from lsgan_tf.utils.errors import UserError

T = TypeVar("T")


class InvalidJson(UserError):
    """JSON that does not hold what it should. The message names the file and the field."""


class _Refused(Exception):
    """A value that its annotation does not allow; the message names the field."""


def load(path: Path, kind: type[T]) -> T:
    """Reads a whole JSON file.

    Args:
        path: the file.
        kind: as of `parse`.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidJson: it cannot be read, is not JSON, or holds something else than `kind`.
    """
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InvalidJson(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidJson(f"{path} is damaged: it is not JSON ({error}).") from error
    return parse(value, kind, path)


def parse(value: Any, kind: type[T], source: Any = "the JSON", ignore_unknown: bool = False) -> T:
    """Makes an object of what `json.loads` returned.

    Args:
        value: the decoded JSON.
        kind: a dataclass, bool, int, float, str, `Any`, or `tuple[...]`, `dict[str, ...]` and
            `... | None` of these. Fields with a default may be missing.
        source: the file or line that the message names.
        ignore_unknown: leaves out fields that a dataclass does not have; else they are refused.

    Raises:
        InvalidJson: a field is missing, unknown, of another type or out of bounds.
    """
    try:
        return _convert(value, kind, "", ignore_unknown)
    except _Refused as error:
        raise InvalidJson(f"{source} is damaged: {error}.") from error


def _convert(value: Any, kind: Any, field: str, ignore_unknown: bool) -> Any:
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _to_dataclass(value, kind, field, ignore_unknown)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None and types.NoneType in arguments:
            return None
        (kind,) = (argument for argument in arguments if argument is not types.NoneType)
        return _convert(value, kind, field, ignore_unknown)
    if origin is tuple:
        kinds = _kinds_of_items(_of_type(value, list, field), arguments, field)
        return tuple(
            _convert(item, kind, f"{field}[{index}]", ignore_unknown)
            for index, (item, kind) in enumerate(zip(value, kinds, strict=True))
        )
    if origin in (dict, Mapping):
        return {
            name: _convert(item, arguments[1], _join(field, name), ignore_unknown)
            for name, item in _of_type(value, dict, field).items()
        }
    if kind is float and type(value) is int:
        return _to_float(value, field)
    return _of_type(value, kind, field)


def _to_dataclass(value: Any, kind: type, field: str, ignore_unknown: bool) -> Any:
    _of_type(value, dict, field)
    hints = _hints(kind)
    unknown = value.keys() - hints.keys()
    if unknown and not ignore_unknown:
        name = _join(field, min(unknown))
        raise _Refused(f"{name} is not a known field; known: {', '.join(hints)}")
    arguments = {}
    for name, hint in hints.items():
        if name in value:
            arguments[name] = _convert(value[name], hint, _join(field, name), ignore_unknown)
        elif name in _required(kind):
            raise _Refused(f"{_join(field, name)} is missing")
    try:
        return kind(**arguments)
    except (ValueError, UserError) as error:
        raise _Refused(f"{field}: {error}" if field else str(error)) from error


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


@functools.cache
def _required(kind: type) -> set[str]:
    return {
        field.name
        for field in dataclasses.fields(kind)
        if field.default is field.default_factory is dataclasses.MISSING
    }


def _kinds_of_items(items: list, arguments: tuple, field: str) -> list:
    """The type of each item: of `tuple[T, ...]` that of all, of `tuple[T1, T2]` one each."""
    if arguments[-1] is Ellipsis:
        return [arguments[0]] * len(items)
    if len(items) != len(arguments):
        raise _Refused(f"{field} must have {len(arguments)} items, not {len(items)}")
    return list(arguments)


def _of_type(value: Any, kind: type, field: str) -> Any:
    if type(value) is not kind:
        shown = reprlib.repr(value)
        raise _Refused(f"{field or 'the content'} must be of type {kind.__name__}, not {shown}")
    return value


def _to_float(value: int, field: str) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise _Refused(f"{field} is too large for a float: {reprlib.repr(value)}") from error


def _join(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name
