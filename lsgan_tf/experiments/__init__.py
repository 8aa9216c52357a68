"""The papers' experiments that are more than a recipe: each is one file, whole, and a command."""
