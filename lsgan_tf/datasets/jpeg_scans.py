"""How often a JPEG file goes over its pixels: every scan costs a pass, however few bytes it has.

A progressive file of one megabyte may hold ten thousand scans (ITU-T T.81, annex B and G), which
keep a decoder busy for minutes.
"""

import re

_MARKER = re.compile(rb"\xff[^\x00\xff]")
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN, _TEMPORARY = 0xD8, 0xD9, 0xDA, 0x01
_RESTARTS = range(0xD0, 0xD8)


def exceed(data: bytes, most: int) -> bool:
    """Whether the JPEG file that `data` begins with has more than `most` scans."""
    scans, place = 0, 0
    while found := _MARKER.search(data, place):
        marker, place = data[found.end() - 1], found.end()
        if marker == _END_OF_IMAGE:
            return False
        if marker in (_START_OF_IMAGE, _TEMPORARY) or marker in _RESTARTS:
            continue  # nothing but the marker
        scans += marker == _START_OF_SCAN
        if scans > most:
            return True
        place += int.from_bytes(data[place : place + 2], "big")
    return False
