"""Of the build: the package depends on what requirements.txt lists."""

from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Requirements(MetadataHookInterface):
    """Puts the lines of requirements.txt, without their comments, into the metadata."""

    def update(self, metadata: dict) -> None:
        """Adds `dependencies`."""
        lines = Path(self.root, "requirements.txt").read_text(encoding="utf-8").splitlines()
        requirements = (line.partition("#")[0].strip() for line in lines)
        metadata["dependencies"] = [requirement for requirement in requirements if requirement]
