"""The evidence for the papers' claims: `rows/NAME.toml` say which runs, `reproduce` runs them.

`gaussian_mixture`, an experiment that is more than a recipe, is one file, whole, and a command.
"""
