"""Faults that a training run meets, and what is left of its work."""
