"""Command-line tools around the data sets and the measurements."""
