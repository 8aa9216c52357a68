"""PNG files of small pictures, written in a tenth of the time that Pillow takes.

Every line is stored as its difference from the one above (PNG, second edition, 9.2: filter type 2),
which suits pictures of this size nearly as well as a choice per line, and costs one subtraction.
The same pixels give the same bytes in every process; ISA-L, which is faster still, does not keep
to that.
"""

import struct

import deflate
import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2}  # channels: greyscale, truecolour
_UP = 2


def encode(pixels: np.ndarray) -> bytes:
    """Encodes a picture without loss.

    Args:
        pixels: uint8 [height, width] or [height, width, channels], of 1 or 3 channels.

    Returns:
        A PNG file.
    """
    height, width, channels = (*pixels.shape, 1)[:3]
    rows = pixels.reshape(height, width * channels)
    lines = np.empty((height, 1 + rows.shape[1]), np.uint8)
    lines[:, 0] = _UP
    lines[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=lines[1:, 1:])  # modulo 256, as the filter wants it
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return b"".join(
        (
            _SIGNATURE,
            *_chunk(b"IHDR", header),
            *_chunk(b"IDAT", deflate.zlib_compress(lines, 1)),
            *_chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> tuple[bytes, ...]:
    checksum = deflate.crc32(data, deflate.crc32(kind))
    return struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)
