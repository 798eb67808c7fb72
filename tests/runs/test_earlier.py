"""What earlier versions left on disk: a search that was stopped halfway, and a kept model."""

import json
import shutil
from pathlib import Path

import pytest

LEFT = Path(__file__).parents[1] / "data" / "earlier"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def left(tmp_path, monkeypatch):
    shutil.copytree(LEFT, tmp_path / "left")
    monkeypatch.chdir(tmp_path / "left")


def test_a_search_goes_on_from_its_store_and_checkpoints(hpsearch, caplog):
    code, out, err = hpsearch(
        "run", "study.py", "--store", "store.db", "--json", "--inline", "--engine", "fit",
        "--checkpoint-every", "1",
    )  # fmt: skip
    assert code == 0, err
    assert "continuing after 10 trials" in err
    assert "checkpoint" not in caplog.text  # each was used: else it says why not
    found, wanted = json.loads(out), json.loads(Path("ranking.json").read_text())
    for row, earlier in zip(found, wanted, strict=True):
        assert row["value"] == pytest.approx(earlier.pop("value"))
        assert row["se"] == pytest.approx(earlier.pop("se"), nan_ok=True)
        del earlier["seconds"]
        assert earlier.items() <= row.items()


def test_a_checkpoint_that_cannot_be_used_is_told(hpsearch, caplog):
    for path in Path("checkpoints").rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:-1])
    code, _, err = hpsearch("run", "study.py", "--store", "store.db", "--inline", "--engine", "fit")
    assert code == 0, err
    assert "checkpoint" in caplog.text


def test_a_kept_model_predicts(hpsearch):
    code, out, err = hpsearch("predict", "model", "table.csv")
    assert code == 0, err
    found = [line.split(",") for line in out.splitlines()]
    wanted = [line.split(",") for line in Path("predictions.csv").read_text().splitlines()]
    assert [row[0] for row in found] == [row[0] for row in wanted]
    for row, earlier in zip(found[1:], wanted[1:], strict=True):
        assert [float(p) for p in row[1:]] == pytest.approx([float(p) for p in earlier[1:]])
