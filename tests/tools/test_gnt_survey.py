"""Surveys of GNT files: where reading starts for an item, and files that change afterwards."""

import pytest

from lsgan_tf.utils.errors import UserError
from tests.tools import gnt_files
from tools.sources import gnt_sources, gnt_survey, hwdb_characters


def test_surveys_are_small_and_find_their_way():
    survey = gnt_survey.FileSurvey()
    for number in range(1_000_000):
        survey.add_damage() if number % 1000 < 300 else survey.add_character(50 * number)
    for item in (0, 299, 300, 600, 700, 999_999):
        offset, number = survey.start(item)
        assert offset == 50 * number and item - 700 < number <= item
    assert survey.start(600) == (50 * 556, 556)
    assert len(survey._offsets) < 4000


def test_a_file_that_changes_before_it_is_converted(tmp_path):
    file = gnt_files.write(tmp_path / "w1.gnt", *[gnt_files.record("中")] * 3)
    listing = gnt_sources.find([file])
    piece = gnt_survey.Piece(listing.files[0], 0, 0, 0, 3)
    gnt_files.write(file, *[gnt_files.record("中")] * 9)
    with pytest.raises(UserError, match=r"w1.gnt has changed since this conversion began"):
        list(piece.items(hwdb_characters.Selection()))
