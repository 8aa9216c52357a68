"""Scores of generated images: features.py turns images into features, one small file per score."""
