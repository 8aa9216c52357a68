"""Mutated archives, and what must become of them."""
