"""A picture of a guest's screen, as pixels: read, scaled, and written as PNG or as half blocks."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmtui.errors import OperationError

if TYPE_CHECKING:
    from PIL.Image import Image

RGB = tuple[int, int, int]

PIXELS_MAXIMUM = 64 * 1024 * 1024
"""More than any screen has: a picture from outside must not take all memory."""

_PPM = re.compile(rb"P6\s+(\d+)\s+(\d+)\s+255\s")
_BLACK = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Picture:
    """`rgb` holds 3 bytes a pixel, row by row from the top left."""

    width: int
    height: int
    rgb: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of a picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int


def decoded(data: bytes) -> Picture:
    """The picture in a PPM or PNG file, the two that hypervisors give. Raises OperationError."""
    try:
        head = _PPM.match(data)
        return _of_ppm(head, data) if head else _of_png(data)
    except (OSError, SyntaxError, ValueError) as error:
        raise OperationError("the picture of the screen can't be read", why=str(error)) from error


def _of_ppm(head: re.Match[bytes], data: bytes) -> Picture:
    width, height = int(head[1]), int(head[2])
    _check(width, height)
    if len(data) - head.end() != width * height * 3:
        raise ValueError("it is not whole")
    return Picture(width, height, data[head.end() :])


def _of_png(data: bytes) -> Picture:
    from PIL import Image  # noqa: PLC0415 (commands that show no screen need not wait for it)

    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        _check(image.width, image.height)
        return _of_image(image.convert("RGB"))


def _check(width: int, height: int) -> None:
    if not 0 < width * height <= PIXELS_MAXIMUM:
        raise ValueError(f"it is said to have {width}x{height} pixels")


def _of_image(image: Image) -> Picture:
    return Picture(image.width, image.height, image.tobytes())


def _image(picture: Picture) -> Image:
    from PIL import Image  # noqa: PLC0415

    return Image.frombytes("RGB", (picture.width, picture.height), picture.rgb)


def png(picture: Picture) -> bytes:
    """It as a PNG file."""
    file = io.BytesIO()
    _image(picture).save(file, "PNG")
    return file.getvalue()


def fitted(width: int, height: int, columns: int, rows: int) -> tuple[int, int]:
    """The largest size in `columns` x `rows` with the proportions of `width` x `height`."""
    if width * rows > height * columns:
        return columns, max(1, round(height * columns / width))
    return max(1, round(width * rows / height)), rows


def scaled(picture: Picture, part: Part, width: int, height: int) -> Picture:
    """`part` of it in another size; each pixel is the mean of those that it stands for."""
    from PIL.Image import Resampling  # noqa: PLC0415

    box = (part.left, part.top, part.left + part.width, part.top + part.height)
    return _of_image(_image(picture).resize((width, height), Resampling.BOX, box))


def half_blocks(picture: Picture) -> list[list[tuple[RGB, RGB]]]:
    """Rows of cells, each with its upper and its lower colour; below an odd last row is black."""
    rgb, stride = picture.rgb, picture.width * 3
    rows = []
    for top in range(0, len(rgb), stride):
        red, green, blue = (rgb[top + channel : top + stride : 3] for channel in range(3))
        rows.append(list(zip(red, green, blue, strict=True)))
    if len(rows) % 2:
        rows.append([_BLACK] * picture.width)
    return [list(zip(*pair, strict=True)) for pair in zip(rows[::2], rows[1::2], strict=True)]


def indexed(picture: Picture) -> tuple[list[RGB], bytes]:
    """Up to 256 colours, and for each pixel the number of one of them."""
    from PIL.Image import Dither, Quantize  # noqa: PLC0415

    image = _image(picture).quantize(256, Quantize.FASTOCTREE, dither=Dither.NONE)
    levels = image.getpalette() or []
    colours = [(r, g, b) for r, g, b in zip(*[iter(levels)] * 3, strict=True)]
    return colours, image.tobytes()
