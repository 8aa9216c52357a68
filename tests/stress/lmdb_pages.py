"""A strategy for LMDBs whose tree is damaged: bytes of its pages that belong to no value."""

import struct

from hypothesis import strategies as st

from tests.stress import hostile

_PAGE_BYTES = 4096
_PAGE_HEADER_BYTES = 16
_META_BYTES = _PAGE_HEADER_BYTES + 136
_BRANCH, _LEAF, _OVERFLOW = 1, 2, 4


@st.composite
def damaged(draw, sound: bytes) -> hostile.Input:
    """The data.mdb `sound` with other bytes in its pages of one kind."""
    places = tree(sound)
    kind = draw(st.sampled_from([kind for kind, offsets in places.items() if offsets]))
    changed = bytearray(sound)
    for offset in sorted(draw(st.sets(st.sampled_from(places[kind]), min_size=1, max_size=40))):
        byte = draw(st.sampled_from([sound[offset] ^ 1, 0, 255]) | st.integers(0, 255))
        changed[offset] = byte
    return hostile.Input(kind, bytes(changed))


def tree(data: bytes) -> dict[str, list[int]]:
    """The offsets in a data.mdb of all bytes that are no values, by the kind of their page."""
    places: dict[str, list[int]] = {"meta": [], "branch": [], "leaf": [], "overflow": []}
    page = 0
    while page < len(data):
        number, _, flags, lower, upper = struct.unpack_from("<QHHHH", data, page)
        whole = range(page, page + _PAGE_BYTES)
        pages = 1
        if page < 2 * _PAGE_BYTES:
            places["meta"] += whole[:_META_BYTES]
        elif flags & (_BRANCH | _LEAF) and number == page // _PAGE_BYTES:
            used = [*whole[:lower], *whole[upper:]]
            places["branch" if flags & _BRANCH else "leaf"] += used
        elif flags & _OVERFLOW:
            places["overflow"] += whole[:_PAGE_HEADER_BYTES]
            pages = lower | upper << 16  # how many its value covers
        page += pages * _PAGE_BYTES
    return places
