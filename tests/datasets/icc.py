"""Small ICC profiles (ICC.1:2001-04): of RGB and grey by a curve, of inks by a table."""

import itertools
import struct

_D50 = (0.9642, 1.0, 0.8249)
_ADOBE = {
    b"rXYZ": (0.60974, 0.31111, 0.01947),
    b"gXYZ": (0.20528, 0.62567, 0.06087),
    b"bXYZ": (0.14919, 0.06322, 0.74457),
}


def adobe_rgb(padding=0):
    """Adobe RGB (1998), with a private tag of so many bytes."""
    tags = {name: _xyz(values) for name, values in _ADOBE.items()}
    tags |= {name: _gamma(563 / 256) for name in (b"rTRC", b"gTRC", b"bTRC")}
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags | {b"priv": b"data" + b"\1" * padding})


def grey(gamma):
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": _gamma(gamma)})


def grey_inks():
    """Of four inks, as if each of the coloured ones took a quarter of the light and black all."""
    corners = [
        round(255 * (1 - k) * (1 - (c + m + y) / 4))
        for c, m, y, k in itertools.product((0, 1), repeat=4)
    ]
    ramp = bytes(range(256))
    table = b"".join(bytes((light, 128, 128)) for light in corners)
    identity = struct.pack(">9i", *(65536 * (n % 4 == 0) for n in range(9)))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + ramp * 4 + table + ramp * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": lut})


def _xyz(values):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _gamma(value):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def _profile(kind, space, connection, tags):
    tags = {b"wtpt": _xyz(_D50)} | tags
    table, data = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    size = start + len(data)
    header = struct.pack(">I4xI4s4s4s", size, 0x02100000, kind, space, connection)
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _xyz(_D50)[8:]
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data
