"""Which checkpoints stay on disk."""

import zlib
from pathlib import Path

import pytest

from hpsearch import Asha, Hyperband, KerasTunerHyperband, Random
from hpsearch.core.errors import StoreError
from hpsearch.core.files import folder_at, leave_mark
from hpsearch.core.trial import Observation, Pause
from hpsearch.runs.checkpoints import SearchCheckpoints
from tests.contracts.searcher import SPACE


def leave(checkpoints, *trials):
    for trial in trials:
        checkpoints.folder_of(trial).mkdir(parents=True)
        (checkpoints.folder_of(trial) / "fold-0.npz").write_bytes(b"x" * 1000)


def kept(checkpoints):
    return sorted(int(path.name) for path in checkpoints.folder.iterdir())


@pytest.fixture(params=["disk", "url"])
def folder(request, tmp_path):
    return (tmp_path if request.param == "disk" else folder_at(f"memory://{tmp_path}")) / "c"


def test_the_best_few_what_runs_and_what_can_go_on_are_kept(folder):
    checkpoints = SearchCheckpoints(folder, keep=2)
    leave(checkpoints, *range(8))
    for trial, loss in enumerate([0.5, 0.1, 0.9, 0.2, 0.7, None]):
        checkpoints.record_result(trial, loss)
    checkpoints.delete_unneeded([6], lambda trial: trial == 4)
    while kept(checkpoints) != [1, 3, 4, 6]:  # what is far away is deleted in the background
        assert set(kept(checkpoints)) >= {1, 3, 4, 6}
        assert not isinstance(folder, Path)
    assert checkpoints.size == 4000
    assert SearchCheckpoints(folder).size == 4000
    checkpoints.clear()
    assert not checkpoints.folder.exists()
    assert checkpoints.size == 0


def test_a_mark_is_seen_while_it_is_needed_and_leaves_nothing(folder):
    with leave_mark(folder) as mark:
        assert mark.exists()
    assert not mark.exists()


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file cannot be written"), leave_mark(tmp_path / "file"):
        pass


def test_what_is_no_trials_folder_is_left_alone(tmp_path):
    checkpoints = SearchCheckpoints(tmp_path, keep=0)
    leave(checkpoints, 0)
    (tmp_path / "notes").mkdir()
    checkpoints.delete_unneeded([], lambda trial: False)
    assert [path.name for path in Path(tmp_path).iterdir()] == ["notes"]


@pytest.mark.parametrize(
    "searcher",
    [
        Hyperband(max_epochs=27, eta=3, iterations=2),
        Asha(trials=300, max_epochs=27, eta=3),
        pytest.param(KerasTunerHyperband(max_epochs=27, eta=3), marks=pytest.mark.slow),
        Random(trials=50, epochs=3),
    ],
    ids=repr,
)
def test_searches_know_what_they_may_continue(searcher, tmp_path):
    """Few parents are lost, because these are trained again; and the disk is not filled."""
    search, checkpoints = searcher.start(SPACE, seed=0), SearchCheckpoints(tmp_path / "c", keep=1)
    asked, lost, most = [], 0, 0
    while not isinstance(answer := search.ask(len(asked)), Pause):
        trial = len(asked)
        asked.append(answer)
        if answer.parent is not None:
            lost += not checkpoints.folder_of(answer.parent).exists()
        leave(checkpoints, trial)
        loss = float(zlib.crc32(str(answer.params).encode()) % 1000) / answer.epochs
        search.tell(trial, Observation(loss))
        checkpoints.record_result(trial, loss)
        checkpoints.delete_unneeded([], search.continuable)
        most = max(most, len(kept(checkpoints)))
    promoted = sum(answer.parent is not None for answer in asked)
    assert lost <= 0.1 * promoted
    assert most <= 0.7 * len(asked)


def test_the_size_of_files_that_cannot_be_read_is_left_out(tmp_path):
    folder = tmp_path / "checkpoints"
    (folder / "0").mkdir(parents=True)
    (folder / "0" / "fold-0.npz").write_bytes(b"x" * 1000)
    (folder / "0" / "fold-1.npz").symlink_to("nowhere")
    (folder / "1").write_text("no folder")
    assert SearchCheckpoints(folder).size == 1000
