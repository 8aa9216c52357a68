"""Single characters from the typefaces that matplotlib ships under free licences."""

import hashlib
from pathlib import Path

import matplotlib
import PIL
from PIL import Image, ImageDraw, ImageFont


def typeface_path(typeface: str) -> Path:
    """The font file of, for example, "STIXGeneral"."""
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{typeface}.ttf"


def typefaces_identity(typefaces: tuple[str, ...]) -> str:
    """Hex digest of the font files and of the renderer's version."""
    digest = hashlib.sha256(PIL.__version__.encode())
    for typeface in typefaces:
        digest.update(typeface_path(typeface).read_bytes())
    return digest.hexdigest()


def inked(character: str, typeface: str, height: int) -> Image.Image:
    """The box of `character` that holds ink: white on black, grey, `height` pixels high."""
    path = str(typeface_path(typeface))
    box = ImageFont.truetype(path, 1000).getbbox(character)
    font = ImageFont.truetype(path, 1000 * height / (box[3] - box[1]))
    left, top, right, bottom = font.getbbox(character)
    image = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(image).text((1 - left, 1 - top), character, font=font, fill=255)
    return image.crop(image.getbbox())
