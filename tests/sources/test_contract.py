import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

import hpsearch
from hpsearch import Data, KFold, Task
from hpsearch.core.reading import foreign_rows
from spaces import mlp
from tests.contracts.source import SourceContract
from tests.sources.makers import MAKERS


@pytest.fixture(autouse=True)
def _small_arrays_are_sources(monkeypatch):
    monkeypatch.setattr(foreign_rows, "LARGE", 0)


class TestSources(SourceContract):
    @pytest.fixture(params=[name for name in MAKERS if name != "arrow_record_batch"])
    def opened(self, request, tmp_path):
        return MAKERS[request.param](tmp_path)


def test_a_slice_of_a_record_batch_has_its_rows(tmp_path):
    open_rows, array = MAKERS["arrow_record_batch"](tmp_path)
    x = Data(open_rows(), np.zeros(150)).x
    assert np.asarray(x).tolist() == array.tolist()


def test_no_source_escapes_the_contract():
    found = set()
    for path in Path(inspect.getfile(hpsearch)).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            bases = set(map(ast.unparse, getattr(node, "bases", ())))
            if isinstance(node, ast.ClassDef) and bases & {"Source", "FolderSource"}:
                found.add(node.name)
    apart = {"ArraySource", "JoinedSource", "TextFolder", "FolderSource", "Windows"}  # elsewhere
    tested = {"MappedRows", "Hdf5Rows", "ZarrRows", "ArrowRows", "ParquetRows", "SparseRows"}
    assert found - apart == tested | {"ItemRows", "ImageFolder"}


CURVES_OF_ARRAYS = {}


def curves_over_folds(x, rows, engine):
    y = np.arange(rows) % 3
    task = Task("rows", Data(x, y), "sparse_categorical_crossentropy", "accuracy")
    return KFold(3).evaluate(mlp.model((8,)), {}, task, epochs=2, engine=engine).curves


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["fit", "auto"])
@pytest.mark.parametrize("name", MAKERS)
def test_curves_over_folds_are_those_of_the_array(name, engine, tmp_path):
    open_rows, array = MAKERS[name](tmp_path)
    key = (engine, array.shape, array.tobytes())
    if key not in CURVES_OF_ARRAYS:
        CURVES_OF_ARRAYS[key] = curves_over_folds(array, len(array), engine)
    curves = curves_over_folds(open_rows(), len(array), engine)
    assert curves.shape == (3, 2)
    assert curves.equals(CURVES_OF_ARRAYS[key])
