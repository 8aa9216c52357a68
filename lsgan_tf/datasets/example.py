"""`tf.train.Example` in protobuf's wire format, written and read by hand.

The converters' pool thus needs no TensorFlow, and the same features always give the same bytes.

    Example  { Features features = 1; }
    Features { map<string, Feature> feature = 1; }       map entry: key = 1, value = 2
    Feature  { oneof: BytesList = 1, FloatList = 2, Int64List = 3 }   each: repeated value = 1
"""

import functools
from collections.abc import Iterator, Mapping

_VARINT, _LENGTH_DELIMITED = 0, 2
_KINDS = {1: bytes, 2: float, 3: int}  # the lists of a Feature


class Malformed(ValueError):
    """The bytes are not an Example of the declared features; the message says in which way."""


def encode(features: Mapping[str, bytes | int]) -> bytes:
    """Encodes an Example with one value per feature, in the order of the names."""
    entries = (
        _delimited(1, _delimited(1, name.encode()) + _delimited(2, _feature(features[name])))
        for name in sorted(features)
    )
    return _delimited(1, b"".join(entries))


def decode(data: bytes, declared: Mapping[str, type]) -> dict[str, bytes | int]:
    """Decodes an Example that has exactly the `declared` features, with one value each.

    Time and memory are bounded, whatever the bytes are: what is not declared is refused where it
    is met.

    Args:
        data: one record's payload.
        declared: name of each feature -> `bytes` or `int`.

    Raises:
        Malformed: it is no Example, or a feature is missing, not declared, of another type, has no
            value or several.
    """
    values: dict[str, bytes | int] = {}
    features = _submessage(_single(memoryview(data), "the Example"), 1)
    for field in _fields(features):
        name, feature = _entry(_submessage(field, 1))
        if name not in declared:
            raise Malformed(f"it has a feature {name[:40]!r}, which the manifest does not declare")
        if name in values:
            raise Malformed(f"it has the feature {name!r} twice")
        values[name] = _value(feature, declared[name], f"its feature {name!r}")
    for name in declared:
        if name not in values:
            raise Malformed(f"it has no feature {name!r}")
    return values


def _feature(value: bytes | int) -> bytes:
    if isinstance(value, bytes):
        return _delimited(1, _delimited(1, value))
    # int64 on the wire: two's complement in 64 bits.
    return _delimited(3, _tag(1, _VARINT) + _varint(value & 0xFFFFFFFFFFFFFFFF))


def _delimited(field: int, data: bytes) -> bytes:
    return _tag(field, _LENGTH_DELIMITED) + _varint(len(data)) + data


@functools.cache
def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


@functools.lru_cache(maxsize=1 << 12)  # lengths and labels recur
def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_Field = tuple[int, int | memoryview]  # number; value, or a submessage


def _entry(entry: memoryview) -> tuple[str, memoryview]:
    parts = {1: memoryview(b""), 2: memoryview(b"")}
    for position, field in enumerate(_fields(entry)):
        if position == 2 or field[0] not in parts:
            raise Malformed("it is no tf.train.Example: an entry is not a name and a feature")
        parts[field[0]] = _submessage(field, field[0])
    try:
        return str(parts[1], "utf-8"), parts[2]
    except UnicodeDecodeError:
        raise Malformed("it is no tf.train.Example: a name is not UTF-8") from None


def _value(feature: memoryview, kind: type, what: str) -> bytes | int:
    number, values = _single(feature, what)
    found = _KINDS.get(number)
    if found is not kind:
        raise Malformed(f"{what} is {found.__name__ if found else 'of no known type'}, "
                        f"not {kind.__name__}")  # fmt: skip
    value_field = _single(_submessage((number, values), number), what)
    if kind is bytes:
        return bytes(_submessage(value_field, 1))
    number, value = value_field
    if number != 1:
        raise Malformed(f"{what} is no list of integers")
    if isinstance(value, memoryview):  # packed, as TensorFlow writes them
        packed = value
        value, end = _read_varint(packed, 0) if packed else (0, -1)
        if end != len(packed):
            raise Malformed(f"{what} has {'several values' if packed else 'no value'}")
    return value - (1 << 64) if value >> 63 else value


def _single(message: memoryview, what: str) -> _Field:
    fields = _fields(message)
    first, second = next(fields, None), next(fields, None)
    if first is None or second is not None:
        raise Malformed(f"{what} has {'several values' if second else 'no value'}")
    return first


def _submessage(field: _Field, expected: int) -> memoryview:
    number, value = field
    if number != expected or not isinstance(value, memoryview):
        raise Malformed(f"it is no tf.train.Example: it has a field {number} where none belongs")
    return value


def _fields(message: memoryview) -> Iterator[_Field]:
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        wire_type = tag & 7
        value, at = _read_varint(message, at)
        if wire_type == _LENGTH_DELIMITED:
            start, at = at, at + value
            if at > len(message):
                raise Malformed("it is no tf.train.Example: a field is longer than what holds it")
            value = message[start:at]
        elif wire_type != _VARINT:
            raise Malformed("it is no tf.train.Example: it has a field of another wire type")
        yield tag >> 3, value


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """The value that begins at `at`, and where it ends."""
    value = 0
    for shift, byte in zip(range(0, 70, 7), message[at : at + 10], strict=False):
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + shift // 7 + 1
    raise Malformed("it is no tf.train.Example: a number in it does not end")
