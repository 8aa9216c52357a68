"""`tf.train.Example` in protobuf's wire format, written by hand.

The converters' workers thus need no TensorFlow, and the same features always give the same bytes.

    Example  { Features features = 1; }
    Features { map<string, Feature> feature = 1; }       map entry: key = 1, value = 2
    Feature  { oneof: BytesList = 1, FloatList = 2, Int64List = 3 }   each: repeated value = 1
"""

import functools
from collections.abc import Mapping

_VARINT, _LENGTH_DELIMITED = 0, 2


def encode(features: Mapping[str, bytes | int]) -> bytes:
    """Encodes an Example with one value per feature, in the order of the names."""
    entries = (
        _delimited(1, _delimited(1, name.encode()) + _delimited(2, _feature(features[name])))
        for name in sorted(features)
    )
    return _delimited(1, b"".join(entries))


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
