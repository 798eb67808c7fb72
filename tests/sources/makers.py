"""Ways to write the same rows: each returns a function that opens them anew, and the array."""

import functools
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse
import zarr

from hpsearch import ImageFolder, ParquetRows, Source

X = np.random.default_rng(5).normal(size=(200, 6)).astype("float32")
PICTURES = np.random.default_rng(6).integers(0, 256, (200, 5, 4, 3), np.uint8)
MAKERS = {}


def maker(make):
    MAKERS[make.__name__] = make
    return make


class OwnRows(Source):
    """Rows of an array, one by one."""

    def __init__(self, array):
        self.array = array

    def __len__(self):
        return len(self.array)

    def rows(self, indices):
        return np.stack([self.array[index] for index in indices])


class Items:
    """A dataset as PyTorch's are: an item a number."""

    def __init__(self, x, y=None):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, number):
        assert isinstance(number, int)
        return self.x[number] if self.y is None else (self.x[number], self.y[number])


@maker
def own_source(folder: Path):
    return lambda: OwnRows(X), X


@maker
def memory_map(folder: Path):
    np.save(folder / "x.npy", X)
    return lambda: np.load(folder / "x.npy", mmap_mode="r"), X


@maker
def view_of_a_memory_map(folder: Path):
    np.save(folder / "x.npy", np.repeat(X, 2, axis=0))

    def view():
        return np.load(folder / "x.npy", mmap_mode="r")[::2].reshape(200, 3, 2)

    return view, X.reshape(200, 3, 2)


@maker
def other_order_of_bytes(folder: Path):
    np.save(folder / "x.npy", X.astype(">f4"))
    return lambda: np.load(folder / "x.npy", mmap_mode="r"), X


@maker
def hdf5(folder: Path):
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_dataset("x", data=X, chunks=(32, 6), compression="gzip")
    return lambda: h5py.File(folder / "x.h5", "r")["x"], X


@maker
def hdf5_of_another_order_of_bytes(folder: Path):
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_dataset("x", data=X.astype(">f4"))
    return lambda: h5py.File(folder / "x.h5", "r")["x"], X


@maker
def zarr_2(folder: Path):
    array = zarr.create_array(
        folder / "x.zarr", shape=X.shape, chunks=(32, 4), dtype="f4", zarr_format=2
    )
    array[:] = X
    return lambda: zarr.open_array(folder / "x.zarr", mode="r"), X


@maker
def zarr_3(folder: Path):
    group = zarr.open_group(folder / "rows.zarr", mode="w", zarr_format=3)
    array = group.create_array("inside/x", shape=X.shape, chunks=(32, 4), dtype="f4")
    array[:] = X
    return lambda: zarr.open_group(folder / "rows.zarr", mode="r")["inside/x"], X


def _table(rows=X):
    return pa.table({f"c{number}": column for number, column in enumerate(rows.T)})


@maker
def arrow_table(folder: Path):
    return lambda: pa.concat_tables([_table(X[:90]), _table(X[90:90]), _table(X[90:])]), X


@maker
def arrow_record_batch(folder: Path):
    return lambda: _table().to_batches()[0].slice(50, 150), np.asarray(X[50:])


def _lists(rows):
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])


@maker
def arrow_fixed_lists(folder: Path):
    return lambda: pa.chunked_array([_lists(X[:70]), _lists(X[70:])]), X


@maker
def arrow_lists(folder: Path):
    return lambda: pa.table({"x": pa.array(X.tolist(), pa.list_(pa.float32()))}), X


@maker
def arrow_tensors(folder: Path):
    tensors = X.reshape(200, 3, 2)
    return lambda: pa.FixedShapeTensorArray.from_numpy_ndarray(tensors), tensors


@maker
def parquet(folder: Path):
    for number, start in enumerate((0, 80, 140)):
        rows = X[start : [80, 140, 200][number]]
        pq.write_table(_table(rows), folder / f"{number}.parquet", row_group_size=25)
    return functools.partial(ParquetRows, folder, cache=2000), X


@maker
def csr_matrix(folder: Path):
    few = np.where(X > 1, X, 0).astype("float32")
    return lambda: scipy.sparse.csr_matrix(few), few


@maker
def coo_array(folder: Path):
    few = np.where(X > 1, X, 0).astype("float32")
    return lambda: scipy.sparse.coo_array(few), few


@maker
def grain_dataset(folder: Path):
    import grain

    return lambda: grain.MapDataset.source(X / 2).map(lambda row: row * 2), X


@maker
def dataset_of_items(folder: Path):
    return lambda: Items(X), X


@maker
def pictures(folder: Path):
    write_pictures(folder, PICTURES)
    return lambda: ImageFolder(folder, size=(5, 4)), PICTURES


def write_pictures(folder: Path, pictures, classes=("cat", "dog")):
    """Pictures as PNG files, as many of each class, in the order of the classes."""
    from PIL import Image

    for number, picture in enumerate(pictures):
        name = classes[number * len(classes) // len(pictures)]
        (folder / name).mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / name / f"{number:05}.png")
