"""Strategies for damaged zips."""

import io
import zipfile

from hypothesis import strategies as st

from tests.stress import hostile

_LOCAL_HEADER_BYTES = 30


def zipped(members: dict[str, bytes], method: int) -> bytes:
    """A sound zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)  # ZipInfo: always the same date
    return buffer.getvalue()


@st.composite
def damaged(draw, members: dict[str, bytes]) -> hostile.Input:
    """A zip of `members`, packed in any way and then damaged; no member gets another name."""
    methods = [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    sound = zipped(members, draw(st.sampled_from(methods)))
    data, structure = _places(sound)
    start = draw(st.integers(0, len(sound) - 1))
    length = draw(st.integers(1, 2000))
    damage = draw(
        st.sampled_from(["structure", "data", "truncated", "cut out", "in front", "behind"])
    )
    match damage:
        case "structure" | "data":
            places = structure if damage == "structure" else data
            changed = bytearray(sound)
            for place in sorted(draw(st.sets(st.sampled_from(places), min_size=1, max_size=6))):
                changed[place] = draw(st.sampled_from([0, 1, 255]) | st.integers(0, 255))
            changed = bytes(changed)
        case "truncated":
            changed = sound[:start]
        case "cut out":
            changed = sound[:start] + sound[start + length :]
        case "in front":
            changed = draw(st.binary(min_size=1, max_size=50)) * length + sound
        case "behind":
            changed = sound + draw(st.binary(min_size=1, max_size=50)) * length
    return hostile.Input(damage, changed)


def _places(sound: bytes) -> tuple[list[int], list[int]]:
    """The offsets of the members' packed bytes, and of all else but the members' names."""
    data, names = set(), set()
    with zipfile.ZipFile(io.BytesIO(sound)) as archive:
        for member in archive.infolist():
            name = member.filename.encode()
            begin = member.header_offset + _LOCAL_HEADER_BYTES + len(name)
            data.update(range(begin, begin + member.compress_size))
            for place in (sound.index(name), sound.rindex(name)):  # the header, the directory
                names.update(range(place, place + len(name)))
    structure = set(range(len(sound))) - data - names
    return sorted(data), sorted(structure)
