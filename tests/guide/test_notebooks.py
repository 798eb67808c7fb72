"""The notebooks of `studies/` run as they stand, each in an empty folder with a store of its own."""

import pytest

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "studies").glob("*.ipynb"))


@pytest.fixture
def run(tmp_path, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    monkeypatch.setenv("HPSEARCH_DATA", "stand-in")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(path):
        notebook = nbformat.read(path, 4)
        resources = {"metadata": {"path": str(tmp_path)}}
        nbclient.NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources=resources
        ).execute()
        return [
            output.data
            for cell in notebook.cells
            for output in cell.get("outputs", ())
            if output.output_type == "execute_result"
        ]

    return run


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Jupyter's own, on its event loop and its ports
def test_kfold(run):
    shown = run(ROOT / "studies" / "kfold.ipynb")
    assert "<svg" in shown[0]["text/html"]
    assert shown[0]["text/plain"].startswith("Score(")


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_overnight_makes_its_store_and_draws_it(run, tmp_path):
    shown = run(ROOT / "studies" / "overnight.ipynb")
    assert (tmp_path / "store.db").exists()
    assert sum("image/png" in data for data in shown) == 5


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["from_keras_tuner", "from_optuna"])
def test_the_ways_over_run(name, run):
    shown = run(ROOT / "studies" / f"{name}.ipynb")
    assert any("brought-over: the search is done" in data["text/plain"] for data in shown)


def test_every_notebook_is_run_and_small():
    assert [path.stem for path in NOTEBOOKS] == [
        "from_keras_tuner",
        "from_optuna",
        "kfold",
        "overnight",
    ]
    assert all(path.stat().st_size < 600_000 for path in NOTEBOOKS)
