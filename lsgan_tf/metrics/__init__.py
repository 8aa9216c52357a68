"""Scores of generated images: features.py turns images into features, scores.py compares them."""
