"""JSON that is checked against annotations: types, bounds, missing and unknown fields, damage."""

import dataclasses
import json
import math
from typing import Any

import pytest

from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.typed_json import InvalidJson, load, parse


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.5

    def __post_init__(self):
        if self.x < 0:
            raise ValueError("x must not be negative")


@dataclasses.dataclass(frozen=True)
class Shape:
    name: str
    closed: bool
    points: tuple[Point, ...]
    size: tuple[int, int]
    names: dict[str, str | None] = dataclasses.field(default_factory=dict)
    more: Any = None


SHAPE = {"name": "a", "closed": True, "points": [{"x": 1}, {"x": 2, "y": 3}], "size": [4, 5]}


def test_what_a_dataclass_holds_is_read_back(tmp_path):
    whole = Shape("a", True, (Point(1), Point(2, 3.0)), (4, 5), {"b": None, "c": "d"}, [{"e": 1}])
    path = tmp_path / "shape.json"
    path.write_text(json.dumps(dataclasses.asdict(whole)))
    assert load(path, Shape) == whole


def test_fields_with_a_default_may_be_missing_and_a_whole_number_is_a_float():
    shape = parse(SHAPE, Shape)
    assert shape == Shape("a", True, (Point(1), Point(2, 3.0)), (4, 5))
    assert type(shape.points[1].y) is float


def test_numbers_that_are_not_finite_are_floats(tmp_path):
    path = tmp_path / "point.json"
    path.write_text('{"x": 1, "y": NaN}')
    assert math.isnan(load(path, Point).y)
    path.write_text('{"x": 1, "y": -1e999}')
    assert load(path, Point).y == -math.inf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 5}, "name must be of type str, not 5"),
        ({"name": None}, "name must be of type str, not None"),
        ({"closed": 1}, "closed must be of type bool, not 1"),
        ({"points": {}}, "points must be of type list, not {}"),
        ({"points": [5]}, r"points\[0\] must be of type dict, not 5"),
        ({"points": [{"x": 1}, {"x": True}]}, r"points\[1\].x must be of type int, not True"),
        ({"points": [{"x": 1.0}]}, r"points\[0\].x must be of type int, not 1.0"),
        ({"points": [{"x": 1, "y": False}]}, r"points\[0\].y must be of type float, not False"),
        ({"points": [{"x": 1, "y": "2"}]}, r"points\[0\].y must be of type float, not '2'"),
        ({"points": [{"x": 1, "y": 10**400}]}, r"points\[0\].y is too large for a float: 1000"),
        ({"points": [{"x": -1}]}, r"points\[0\]: x must not be negative"),
        ({"points": [{}]}, r"points\[0\].x is missing"),
        ({"points": [{"x": 1, "z": 2}]}, r"points\[0\].z is not a known field; known: x, y"),
        ({"size": [1]}, "size must have 2 items, not 1"),
        ({"size": [1, 2, 3]}, "size must have 2 items, not 3"),
        ({"names": {"b": 5}}, "names.b must be of type str, not 5"),
        ({"colour": "red"}, "colour is not a known field"),
    ],
)
def test_the_message_names_the_file_and_the_field(tmp_path, change, message):
    path = tmp_path / "shape.json"
    path.write_text(json.dumps(SHAPE | change))
    with pytest.raises(InvalidJson, match=rf"shape.json is damaged: {message}.*\.$"):
        load(path, Shape)


def test_unknown_fields_can_be_left_out_at_every_depth():
    more = {**SHAPE, "points": [{"x": 1, "z": 2}], "colour": "red"}
    assert parse(more, Shape, ignore_unknown=True).points == (Point(1),)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe\xfd", b"[" * 100_000, b"9" * 10_000, b"null", b"[]", b'{"x": 1}{}'],
)
def test_what_is_no_such_json_is_refused(tmp_path, content):
    path = tmp_path / "point.json"
    path.write_bytes(content)
    with pytest.raises(InvalidJson, match="point.json is damaged: "):
        load(path, Point)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.json", Point)
    with pytest.raises(UserError, match=f"{tmp_path} cannot be read: Is a directory"):
        load(tmp_path, Point)
