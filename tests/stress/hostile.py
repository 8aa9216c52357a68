"""What the strategies make."""


class Input:
    """Bytes to convert, and what was done to them."""

    def __init__(self, damage: str, data: bytes):
        self.damage, self.data = damage, data

    def __repr__(self):  # hypothesis would print all bytes of a dataclass
        return f"<{self.damage}: {len(self.data)} bytes>"
