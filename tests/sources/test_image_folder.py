import re

import numpy as np
import pytest
from PIL import Image

from hpsearch import Data, ImageFolder
from hpsearch.core.errors import DataError
from tests.sources.makers import PICTURES, write_pictures


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "train"
    root.mkdir()
    write_pictures(root, PICTURES[:20])
    return root


def refuses(message, do):
    with pytest.raises(DataError, match=re.escape(message)) as found:
        do()
    assert "\n" not in str(found.value)


def test_pictures_of_the_size_are_not_changed_and_classes_are_sorted(folder):
    (folder / ".cache").mkdir()
    (folder / "dog" / ".hidden").write_text("")
    (folder / "dog" / "Thumbs.db").write_text("")
    data = Data(ImageFolder(folder, (5, 4)))
    assert np.asarray(data.x).tolist() == PICTURES[:20].tolist()
    assert (data.x.dtype, data.classes) == (np.uint8, ("cat", "dog"))
    assert data.y.tolist() == [0] * 10 + [1] * 10


def test_folders_within_a_class_belong_to_it(folder):
    (folder / "cat" / "indoors").mkdir()
    (folder / "cat" / "00003.png").rename(folder / "cat" / "indoors" / "a.png")
    data = Data(ImageFolder(folder, (5, 4)))
    assert data.y.tolist() == [0] * 10 + [1] * 10
    assert data.x[9].tolist() == PICTURES[3].tolist()


def test_a_link_to_a_folder_above_is_refused(folder):
    (folder / "cat" / "again").symlink_to(folder / "cat")
    refuses("is a link to a folder that it lies in", lambda: ImageFolder(folder, 8))


def test_channels_sizes_and_ways_to_resize(folder):
    picture = Image.fromarray(PICTURES[0])
    wanted = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.NEAREST))
    x = ImageFolder(folder, (8, 9), channels=1, resize="nearest").rows(np.array([0]))
    assert x[0, :, :, 0].tolist() == wanted.tolist()
    assert ImageFolder(folder, 6, channels=4).rows(np.array([0, 1])).shape == (2, 6, 6, 4)
    cropped = ImageFolder(folder, 4, crop=True).rows(np.array([0]))
    assert cropped.tolist() != ImageFolder(folder, 4).rows(np.array([0])).tolist()


def test_pictures_are_turned_as_the_camera_says(folder):
    turned = Image.fromarray(PICTURES[0])
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    turned.save(folder / "cat" / "00000.png", exif=exif)
    x = ImageFolder(folder, (4, 5)).rows(np.array([0]))
    assert x[0].tolist() == np.rot90(PICTURES[0], -1).tolist()


def test_a_picture_that_cannot_be_read_is_named(folder):
    damaged = folder / "dog" / "00012.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    data = Data(ImageFolder(folder, (5, 4)))
    refuses(f"the picture {damaged} cannot be read: ", lambda: data.x[10:14])
    damaged.unlink()
    refuses(f"the picture {damaged} cannot be read: ", lambda: data.x[12])
    refuses("00012.png", lambda: data.fingerprint)


def test_pictures_of_16_bits_are_refused(folder):
    deep = folder / "cat" / "00000.png"
    Image.fromarray(np.full((5, 4), 40_000, np.uint16)).save(deep)
    refuses(f"{deep} has more than 8 bits a channel", lambda: Data(ImageFolder(folder, (5, 4))))


def test_folders_that_are_no_data_set_are_refused(folder, tmp_path):
    (folder / "bird").mkdir()
    refuses(f"{folder / 'bird'} holds no pictures", lambda: ImageFolder(folder, 8))
    (folder / "bird").rmdir()
    note = folder / "cat" / "notes.txt"
    note.write_text("")
    refuses(f"{note} is none of the pictures", lambda: ImageFolder(folder, 8))
    note.rename(folder / "labels.csv")
    refuses("labels.csv lies beside the folders of classes", lambda: ImageFolder(folder, 8))
    empty = tmp_path / "empty"
    empty.mkdir()
    refuses(
        "needs a folder for each of at least two classes, got none", lambda: ImageFolder(empty, 8)
    )
    (empty / "cat").mkdir()
    refuses("at least two classes, got 'cat'", lambda: ImageFolder(empty, 8))
    refuses("cannot be listed: FileNotFoundError", lambda: ImageFolder(tmp_path / "no", 8))
    refuses("named by a path, got 3", lambda: ImageFolder(3, 8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size= (height, width) in whole pixels"),
        ({"size": (8, 8, 3)}, "size= (height, width) in whole pixels"),
        ({"size": True}, "size= (height, width) in whole pixels"),
        ({"size": 2.5}, "size= (height, width) in whole pixels"),
        ({"size": 8, "channels": 2}, "channels=1, 3 or 4, got 2"),
        ({"size": 8, "resize": "bilinar"}, "got 'bilinar' (did you mean 'bilinear'?)"),
        ({"size": 8, "crop": 1}, "crop=True or False, got 1"),
    ],
)
def test_wrong_options_are_refused(options, message, folder):
    refuses(message, lambda: ImageFolder(folder, **options))


def test_a_test_set_of_other_classes_is_refused(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_pictures(other, PICTURES[:20], ("cat", "horse"))
    refuses(
        "y has the classes ('cat', 'dog'), and x_test the classes ('cat', 'horse')",
        lambda: Data(ImageFolder(folder, 8), x_test=ImageFolder(other, 8)),
    )


def test_pictures_to_predict_have_no_classes(tmp_path):
    folder, empty = tmp_path / "new", tmp_path / "empty"
    (folder / "more").mkdir(parents=True)
    empty.mkdir()
    for name, value in {"b.png": 2, "a.png": 1, "more/c.png": 3}.items():
        Image.fromarray(np.full((4, 4, 3), value, np.uint8)).save(folder / name)
    found = ImageFolder(folder, size=4, labels=False)
    assert (len(found), found.targets, found.classes) == (3, None, ())
    assert [path.name for path in found.files] == ["a.png", "b.png", "c.png"]
    assert found.rows([0, 1, 2]).max(axis=(1, 2, 3)).tolist() == [1, 2, 3]
    refuses("Data needs y", lambda: Data(found))
    refuses("holds no pictures", lambda: ImageFolder(empty, 4, labels=False))
