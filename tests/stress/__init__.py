"""Tests of minutes: hostile input and interruptions by the thousand; `pytest -m stress`."""
