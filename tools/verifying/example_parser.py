"""Reads `tf.train.Example` without TensorFlow: the wire format of `lsgan_tf.datasets.example`.

As hostile as records may be, the time and memory are bounded: whatever is not one value of each
declared feature is refused where it is met.
"""

from collections.abc import Iterator, Mapping

_VARINT, _LENGTH_DELIMITED = 0, 2
_BYTES_LIST, _INT64_LIST = 1, 3
_KINDS = {_BYTES_LIST: bytes, 2: float, _INT64_LIST: int}

_Field = tuple[int, int, int | memoryview]  # number, wire type, value


class Malformed(ValueError):
    """The bytes are not an Example of the declared features; the message says in which way."""


def parse(data: bytes, declared: Mapping[str, type]) -> dict[str, bytes | int]:
    """Parses an Example that has exactly the `declared` features, with one value each.

    Args:
        data: one record's payload.
        declared: name of each feature -> `bytes` or `int`.

    Raises:
        Malformed: it is no Example, or a feature is missing, not declared, of another type, has no
            value or several.
    """
    values: dict[str, bytes | int] = {}
    for field in _fields(_only(memoryview(data), "the Example")):
        name, feature = _entry(_submessage(field))
        if name not in declared:
            raise Malformed(f"it has a feature {name[:40]!r}, which the manifest does not declare")
        if name in values:
            raise Malformed(f"it has the feature {name!r} twice")
        values[name] = _value(name, feature, declared[name])
    for name in declared:
        if name not in values:
            raise Malformed(f"it has no feature {name!r}")
    return values


def _entry(entry: memoryview) -> tuple[str, memoryview]:
    name, feature = b"", memoryview(b"")
    for position, field in enumerate(_fields(entry)):
        if position == 2 or field[0] not in (1, 2):
            raise Malformed("it is no tf.train.Example: an entry is not a name and a feature")
        if field[0] == 1:
            name = _submessage(field, 1)
        else:
            feature = _submessage(field, 2)
    try:
        return str(name, "utf-8"), feature
    except UnicodeDecodeError:
        raise Malformed("it is no tf.train.Example: a name is not UTF-8") from None


def _value(name: str, feature: memoryview, kind: type) -> bytes | int:
    what = f"its feature {name!r}"
    fields = list(_at_most(2, _fields(feature)))
    if len(fields) != 1:
        raise Malformed(f"{what} has {'no value' if not fields else 'several lists of values'}")
    number = fields[0][0]
    values = _submessage(fields[0], number)
    if _KINDS.get(number) is not kind:
        found = getattr(_KINDS.get(number), "__name__", "of no known type")
        raise Malformed(f"{what} is {found}, not {kind.__name__}")
    if kind is bytes:
        return bytes(_only(values, what))
    return _integer(values, what)


def _integer(values: memoryview, what: str) -> int:
    number, wire_type, value = _single(values, what)
    if number == 1 and wire_type == _LENGTH_DELIMITED:  # packed, as TensorFlow writes them
        packed = value
        value, end = _varint(packed, 0) if packed else (0, -1)
        if end != len(packed):
            raise Malformed(f"{what} has {'several values' if packed else 'no value'}")
    elif (number, wire_type) != (1, _VARINT):
        raise Malformed(f"{what} is no list of integers")
    return value - (1 << 64) if value >> 63 else value


def _only(message: memoryview, what: str) -> memoryview:
    return _submessage(_single(message, what), 1)


def _single(message: memoryview, what: str) -> _Field:
    fields = list(_at_most(2, _fields(message)))
    if len(fields) != 1:
        raise Malformed(f"{what} has {'several values' if fields else 'no value'}")
    return fields[0]


def _at_most(count: int, fields: Iterator[_Field]) -> Iterator[_Field]:
    return (field for _, field in zip(range(count), fields, strict=False))


def _submessage(field: _Field, expected: int = 1) -> memoryview:
    number, wire_type, value = field
    if number != expected or wire_type != _LENGTH_DELIMITED:
        raise Malformed(f"it is no tf.train.Example: it has a field {number} where none belongs")
    return value


def _fields(message: memoryview) -> Iterator[_Field]:
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire_type = tag & 7
        value, at = _varint(message, at)
        if wire_type == _LENGTH_DELIMITED:
            start, at = at, at + value
            if at > len(message):
                raise Malformed("it is no tf.train.Example: a field is longer than what holds it")
            value = message[start:at]
        elif wire_type != _VARINT:
            raise Malformed("it is no tf.train.Example: it has a field of another wire type")
        yield tag >> 3, wire_type, value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The value that begins at `at`, and where it ends."""
    value = 0
    for shift, byte in zip(range(0, 70, 7), message[at : at + 10], strict=False):
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + shift // 7 + 1
    raise Malformed("it is no tf.train.Example: a number in it does not end")
