"""Folders of files that are none, or named oddly: told in one line, and nothing waits for ever."""

import os

import numpy as np
import pytest

from hpsearch import ImageFolder, TextFolder
from hpsearch.core.errors import DataError


@pytest.fixture
def folder(tmp_path):
    from PIL import Image

    for row in range(4):
        path = tmp_path / "rows" / "ab"[row % 2]
        path.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), row, np.uint8)).save(path / f"{row}.png")
    return tmp_path / "rows"


def open_as(kind, folder):
    return ImageFolder(folder, 4) if kind == "pictures" else TextFolder(folder, encoding="latin-1")


NO_FILES = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("kind", ["pictures", "texts"])
@pytest.mark.parametrize("place", ["a/0.png", "a/loop", "loop"])
def test_a_link_to_itself_is_refused(folder, kind, place):
    path = folder / place
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)
    with pytest.raises(DataError, match=f"{path.name} (cannot be read|is none of|lies beside)"):
        open_as(kind, folder).rows(np.arange(4))


@pytest.mark.parametrize("kind", ["pictures", "texts"])
@pytest.mark.parametrize("what", NO_FILES)
def test_what_is_no_file_is_refused_when_listed_and_when_read(folder, kind, what):
    path = folder / "a" / "0.png"
    opened = open_as(kind, folder)
    path.unlink()
    NO_FILES[what](path)
    if what != "a link to nothing":
        with pytest.raises(DataError, match=f"{path} is no file, but a pipe or a device"):
            open_as(kind, folder)
    with pytest.raises(DataError, match=f"{path} cannot be read: .*(no regular|No such) file"):
        opened.rows(np.arange(4))


def test_a_text_without_an_end_is_refused(folder):
    with (folder / "a" / "0.png").open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(DataError, match=r"0.png cannot be read: .*it has more than 268.435 MB"):
        TextFolder(folder).rows(np.arange(1))


@pytest.mark.parametrize("name", ["x\ny.png", "\x1b[2J.png", os.fsdecode(b"\xff.png")])
def test_odd_names_are_told_in_one_line(folder, name):
    (folder / "a" / name).write_text("no picture")
    with pytest.raises(DataError, match=r"the picture '.*' cannot be read") as refused:
        ImageFolder(folder, 4).rows(np.arange(5))
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["a\0b", "\ud800", 5, None])
def test_what_is_no_path_is_refused(name):
    for kind in ("pictures", "texts"):
        with pytest.raises(DataError, match=f"a folder of {kind} is named by a path, got"):
            open_as(kind, name)


@pytest.mark.parametrize("given", [{"channels": []}, {"channels": 3.0}, {"resize": np.arange(2)}])
def test_junk_is_refused(folder, given):
    with pytest.raises(DataError, match="ImageFolder needs"):
        ImageFolder(folder, 4, **given)
