"""Damaged, swapped and hostile checkpoints cost epochs, never a wrong value, never an error."""

import dataclasses
import io
import json
import os
import zipfile

import numpy as np
import pytest

from hpsearch import KFold
from hpsearch.core.errors import DiskFullError, HpsearchError
from hpsearch.training import backend
from spaces import mlp
from tests.contracts.trainer import DATA, SPLIT, TASK, fit

pytestmark = pytest.mark.slow

CURVES = {name: [0.5, 0.25] for name in ("train", "validation", "train_loss", "validation_loss")}


class Variable:
    def __init__(self, value):
        self.value, self.shape = value, value.shape

    def assign(self, value):
        assert value.shape == self.shape
        self.value = np.array(value)


class Model:
    """As much of a model as a checkpoint sees: a few variables, and an optimizer without any."""

    metrics_variables = ()

    def __init__(self, fill=None):
        dice = np.random.default_rng(0)
        drawn = [
            dice.normal(size=(12, 7)).astype(np.float32),
            np.array(3, np.int32),
            dice.integers(0, 9, 2, np.uint32),
        ]
        self.variables = [Variable(v if fill is None else np.full_like(v, fill)) for v in drawn]
        self.optimizer = type("Optimizer", (), {"built": True, "variables": []})

    @property
    def state(self):
        return [variable.value.tobytes() for variable in self.variables]


@pytest.fixture
def module():
    backend.choose()
    from hpsearch.training import checkpoint

    return checkpoint


@pytest.fixture
def one(tmp_path, module):
    """A fit whose checkpoint lies in `c.npz`."""
    from hpsearch.training.history import History

    own = fit(checkpoint_out=tmp_path / "c.npz")
    history = History(own, TASK.recorded)
    history.resume_from(json.loads(json.dumps(CURVES)))
    module.save(history, [variable.value for variable in Model().variables])
    return own


def loads(module, one):
    """Whether it was restored; wrong values, or a model touched without it, fail the test."""
    model = Model(fill=9)
    from hpsearch.training.history import History

    curves = module.load(one.checkpoint_out, History(one, TASK.recorded), model)
    assert (curves, model.state) in ((None, Model(fill=9).state), (CURVES, Model().state))
    return curves is not None


def damages(whole):
    dice = np.random.default_rng(1)
    for place in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(dice.integers(8))
        yield f"bit of byte {place} flipped", flipped
    for place in range(0, len(whole), 29):
        yield f"cut to {place} bytes", whole[:place]
        yield (
            f"all of {place} and the 40 bytes after it zero",
            (whole[:place] + bytes(len(whole[place : place + 40])) + whole[place + 40 :]),
        )
        yield f"{place} put last", whole[place:] + whole[:place]
        yield f"byte {place} is 255", whole[:place] + b"\xff" + whole[place + 1 :]
    for _ in range(50):
        count = int(dice.integers(1, 40))
        noisy = np.frombuffer(whole, np.uint8).copy()
        noisy[dice.integers(0, len(whole), count)] = dice.integers(0, 256, count)
        yield f"{count} bytes are others", noisy.tobytes()


def test_whatever_is_damaged_it_is_the_right_values_or_none(module, one):
    whole = one.checkpoint_out.read_bytes()
    assert loads(module, one)
    tried = found_out = 0
    for name, damaged in damages(whole):
        one.checkpoint_out.write_bytes(damaged)
        try:
            found_out += not loads(module, one)
        except Exception as error:
            raise AssertionError(f"{name}: {error!r}") from error
        tried += 1
    assert tried > 800
    assert found_out > 0.8 * tried  # what is left lies in parts of the file that say nothing


def test_the_checksum_is_of_all_bytes_whatever_the_layout(module):
    def old(array):
        digest = module.hashlib.blake2b(digest_size=16)
        digest.update(f"a {array.dtype.str} {array.shape} ".encode() + array.tobytes())
        return digest.hexdigest()

    plain = np.arange(12, dtype=np.float32).reshape(3, 4)
    for array in (plain, plain.T, plain[:0], plain[0, 0], np.asfortranarray(plain), plain > 3):
        assert module.compute_checksum({"a": array}) == old(np.asarray(array))


def write(one, module, **changes):
    """A checkpoint with some arrays replaced, and a checksum that matches."""
    with np.load(one.checkpoint_out) as file:
        arrays = {name: file[name] for name in file.files if name != "checksum"} | changes
    arrays["checksum"] = module.text_array(module.compute_checksum(arrays))
    np.savez(one.checkpoint_out, **arrays)


def text(value):
    return np.frombuffer(value.encode(), np.uint8)


HOSTILE = {
    "JSON 100,000 deep": {"history": text("[" * 100_000)},
    "no JSON": {"history": np.array([255, 254], np.uint8)},
    "a list for curves": {"history": text("[1, 2, 3, 4]")},
    "a curve less": {"history": text(json.dumps({"train": [1.0]}))},
    "curves of other lengths": {"history": text(json.dumps(CURVES | {"train": [0.5]}))},
    "NaN": {"history": text(json.dumps(CURVES | {"train": [0.5, float("nan")]}))},
    "words for numbers": {"history": text(json.dumps(CURVES | {"train": ["a", "b"]}))},
    "more epochs than the fit trains": {
        "history": text(json.dumps({name: [0.5] * 5 for name in CURVES}))
    },
    "another shape": {"variable_0": np.zeros((7, 12), np.float32)},
    "a variable more": {"variable_3": np.zeros(2)},
    "text": {"variable_0": np.full((12, 7), "x")},
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
def test_what_matches_its_checksum_is_not_trusted_either(module, one, changes):
    write(one, module)
    assert loads(module, one)
    write(one, module, **changes)
    assert not loads(module, one)


def test_what_would_unpack_into_more_than_the_file_is_not_unpacked(module, one):
    """Though its headers promise a hundred gigabytes, or its contents are compressed."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (25_000_000_000,)}
    )
    with zipfile.ZipFile(one.checkpoint_out, "w") as file:
        file.writestr("variable_0.npy", header.getvalue())
    assert not loads(module, one)
    with zipfile.ZipFile(one.checkpoint_out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("variable_0.npy", header.getvalue() + bytes(10**7))
    assert not loads(module, one)


def put_folder(path):
    path.mkdir()
    (path / "inside").write_text("x")


def put_huge_file(path):
    with open(path, "wb") as file:
        file.truncate(2**40)


PLACES = {
    "folder": put_folder,
    "pipe": os.mkfifo,
    "loop": lambda path: path.symlink_to(path),
    "nowhere": lambda path: path.symlink_to("nothing"),
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "huge": put_huge_file,
    "empty": lambda path: path.touch(),
    "earlier version": lambda path: np.savez(open(path, "wb"), variable_0=1, history=text("{}")),
}


@pytest.mark.parametrize("put", PLACES.values(), ids=PLACES)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_stands_in_its_place_is_none_and_is_written_over(module, one, put):
    from hpsearch.training.history import History

    one.checkpoint_out.unlink()
    put(one.checkpoint_out)
    assert not loads(module, one)
    partial = one.checkpoint_out.with_suffix(".partial")
    if put is not put_huge_file:
        put(partial)
    history = History(one, TASK.recorded)
    history.resume_from(CURVES)
    module.save(history, [variable.value for variable in Model().variables])
    assert loads(module, one)
    assert not partial.exists()


def test_a_link_in_the_place_does_not_lead_to_what_it_names(module, one, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("x")
    for name in ("c.npz", "c.partial"):
        one.checkpoint_out.with_name(name).unlink(missing_ok=True)
        one.checkpoint_out.with_name(name).symlink_to(precious)
    from hpsearch.training.history import History

    history = History(one, TASK.recorded)
    history.resume_from(CURVES)
    module.save(history, [variable.value for variable in Model().variables])
    assert precious.read_text() == "x"
    assert loads(module, one)


def test_where_none_can_be_written_training_goes_on_but_for_a_full_disk(
    module, one, tmp_path, monkeypatch, caplog
):
    from hpsearch.training.history import History

    (tmp_path / "file").touch()
    nowhere = dataclasses.replace(one, checkpoint_out=tmp_path / "file" / "folder" / "c.npz")
    module.save(History(nowhere, TASK.recorded), [])
    assert "cannot be written" in caplog.text

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DiskFullError, match="the disk is full"):
        module.save(History(one, TASK.recorded), [])


def test_a_model_to_keep_whose_checkpoint_is_not_there_says_where_to_look(tmp_path):
    backend.choose()
    from hpsearch.models import retrain
    from hpsearch.training import rows
    from hpsearch.training.history import History

    lost = fit(checkpoint_out=tmp_path / "c.npz")
    prepared, history = rows.prepare_rows(TASK, DATA, SPLIT), History(lost, TASK.recorded)
    with pytest.raises(HpsearchError, match=r"c\.npz could not be written or read; see the log"):
        retrain._restore_model(TASK, DATA, lost, prepared, history)


OTHERS = {
    "fold": {"split": dataclasses.replace(SPLIT, train=SPLIT.train[:-1])},
    "seed": {"seed": 8},
    "point": {"params": {**fit().params, "l2": 2e-4}},
    "order": {"order_seed": 3},
    "study": {"study": "another"},
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_checkpoint_of_another_fit_is_none(module, one, other):
    assert not loads(module, dataclasses.replace(one, **OTHERS[other]))
    assert loads(module, dataclasses.replace(one, epochs=9, patience=3))  # as a survivor has it


@pytest.mark.parametrize("engine", ["fit", "gang"])
def test_swapped_checkpoints_of_folds_change_no_value(tmp_path, engine):
    from hpsearch.training import engines

    backend.choose()
    trainer = engines.make_trainer(TASK, engine, "jax")
    evaluator = KFold(2)
    splits = evaluator.splits(TASK, DATA, seed=1)

    def fits(epochs, **places):
        return evaluator.plan_fits(
            splits, mlp.model(hidden=(8,)), {"dropout": 0.1}, epochs=epochs, seed=1, **places
        )

    whole = dict(trainer.train(fits(3), DATA))
    dict(trainer.train(fits(2, checkpoint_out=tmp_path / "0"), DATA))
    first, second = (tmp_path / "0" / f"fold-{n}.npz" for n in (0, 1))
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    for places in (
        {"checkpoint_in": tmp_path / "0"},  # as a survivor's parent left them
        {"checkpoint_out": tmp_path / "0"},  # as an interrupted trial left them
    ):
        again = dict(trainer.train(fits(3, **places), DATA))
        for fold, curve in whole.items():
            assert again[fold].validation_loss == pytest.approx(curve.validation_loss, abs=1e-6)
            assert len(again[fold].validation_loss) == 3


def test_a_checkpoint_of_an_earlier_build_or_epoch_is_trained_again_or_gone_on_from(tmp_path):
    from hpsearch.training import engines

    backend.choose()
    trainer, path = engines.make_trainer(TASK, "fit", "jax"), tmp_path / "c.npz"
    list(trainer.train([fit(epochs=1, checkpoint_out=path)], DATA))
    (curve,) = dict(trainer.train([fit(checkpoint_in=path)], DATA)).values()
    assert curve.validation_loss == dict(trainer.train([fit()], DATA))[0].validation_loss
    edited = mlp.model(hidden=(17,))
    other = fit(build=edited, checkpoint_in=path)
    (curve,) = dict(trainer.train([other], DATA)).values()
    anew = dict(trainer.train([fit(build=edited)], DATA))[0]
    assert curve.validation_loss == anew.validation_loss
