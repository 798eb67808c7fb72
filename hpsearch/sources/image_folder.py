"""Pictures in a folder for each class, or without classes."""

from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array, Indices
from hpsearch.core.errors import DataError, one_line
from hpsearch.core.files import open_regular_file
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import brief, show_path
from hpsearch.sources.class_folders import FolderSource

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_RESIZES = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_DEEP = ("I", "F")  # modes of Pillow with more than 8 bits a channel begin so
_LARGEST = 2**14  # pixels a side


class ImageFolder(FolderSource):
    """Pictures of a folder that has a folder for each class, decoded when they are read.

        Data(x=ImageFolder("photos/train", size=96), x_test=ImageFolder("photos/test", size=96))

    x has the type uint8 and the shape (pictures, height, width, channels); y is the number of the
    class, in the sorted order of the folders' names. Files are read as Pillow reads them: the first
    picture of an animation, turned as a camera says. A picture of just this size is not resized.

    Args:
        folder: the folder of the classes' folders. Files that are no pictures are refused, and
            hidden ones do not count.
        size: (height, width) in pixels, or one number for both.
        channels: 1: grey; 3: red, green, blue; 4: transparency, too, which is dropped otherwise.
        resize: how pictures of other sizes are resized: nearest, box, bilinear, hamming, bicubic or
            lanczos.
        labels: whether the folders are classes. False: pictures to predict, in the order of their
            names; y is then unknown.
        crop: cut the middle out of a picture of other proportions; otherwise it is stretched.

    Raises DataError where the folder has other files, or not at least two classes with pictures.
    """

    def __init__(
        self,
        folder: str | Path,
        size: int | tuple[int, int],
        *,
        channels: int = 3,
        resize: str = "bilinear",
        crop: bool = False,
        labels: bool = True,
    ) -> None:
        self.size = _check_size(size)
        if isinstance(channels, bool) or not isinstance(channels, int) or channels not in _MODES:
            raise DataError(f"ImageFolder needs channels=1, 3 or 4, got {brief(channels)}")
        if not isinstance(resize, str) or resize not in _RESIZES:
            raise DataError(
                f"ImageFolder needs resize= one of {', '.join(_RESIZES)}, got {brief(resize)}"
                f"{did_you_mean(str(resize), _RESIZES)}"
            )
        if not isinstance(crop, bool):
            raise DataError(f"ImageFolder needs crop=True or False, got {brief(crop)}")
        self.channels, self.resize, self.crop = channels, resize, crop
        super().__init__(folder, "pictures", lambda name: name.lower().endswith(_SUFFIXES), labels)

    def rows(self, indices: Indices) -> Array:
        pictures = np.empty((len(indices), *self.size, self.channels), np.uint8)
        for place, row in enumerate(indices):
            path = self._found.path(row)
            try:
                pictures[place] = self._decode(path)
            except DataError:
                raise
            except Exception as error:  # decoders of damaged files raise whatever they meet
                raise DataError(
                    f"the picture {show_path(path)} cannot be read: {one_line(error)}; delete or mend it"
                ) from error
        return pictures

    def __repr__(self) -> str:
        return (
            f"ImageFolder({str(self._found.folder)!r}, size={self.size}, "
            f"channels={self.channels}): {len(self)} pictures{self._count_classes()}"
        )

    def _decode(self, path: Path) -> Array:
        """A picture, of shape (height, width, channels)."""
        from PIL import Image, ImageOps

        height, width = self.size
        with open_regular_file(path) as file, Image.open(file) as picture:
            if picture.mode.startswith(_DEEP):
                raise DataError(
                    f"the picture {show_path(path)} has more than 8 bits a channel (mode {picture.mode}); "
                    "turn it into one of 8 bits, or read it by a Source of your own"
                )
            turned = ImageOps.exif_transpose(picture).convert(_MODES[self.channels])
        if turned.size != (width, height):
            method = Image.Resampling[self.resize.upper()]
            if self.crop:
                turned = ImageOps.fit(turned, (width, height), method)
            else:
                turned = turned.resize((width, height), method)
        return np.asarray(turned).reshape(height, width, self.channels)


def _check_size(size: Any) -> tuple[int, int]:
    sides = (size, size) if isinstance(size, int) else size
    if not isinstance(sides, tuple | list) or len(sides) != 2 or not all(map(_is_side, sides)):
        raise DataError(
            f"ImageFolder needs size= (height, width) in whole pixels from 1 to {_LARGEST}, or one "
            f"number for both, got {brief(size)}"
        )
    return sides[0], sides[1]


def _is_side(side: Any) -> bool:
    return isinstance(side, int) and not isinstance(side, bool) and 1 <= side <= _LARGEST
