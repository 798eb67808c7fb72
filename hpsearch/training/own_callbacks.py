"""The callbacks of a study: made anew for each fit, with a folder for their files."""

import contextlib
import functools
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from hpsearch.core.errors import BuildError, first_line
from hpsearch.core.files import is_local
from hpsearch.core.rules import brief
from hpsearch.training.base import Callbacks, Fit, TrialInfo

log = logging.getLogger(__name__)


@contextlib.contextmanager
def made_callbacks(fit: Fit, *, continues: bool) -> Iterator[list[Any]]:
    """The callbacks for a fit, if the study has a factory; inside, their folder exists.

    Args:
        continues: whether the fit goes on from its own checkpoint, and so with its own files.

    Raises BuildError where the factory raises, or does not return new Keras callbacks.
    """
    if fit.callbacks is None:
        yield []
    elif fit.checkpoint_out is not None and is_local(fit.checkpoint_out):
        yield _make(fit, fit.callbacks, _prepare_folder(fit, fit.checkpoint_out, continues))
    else:
        with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
            yield _make(fit, fit.callbacks, Path(folder))


def _make(fit: Fit, callbacks: Callbacks, folder: Path) -> list[Any]:
    info = TrialInfo(
        params=dict(fit.params),
        fold=fit.fold,
        seed=fit.seed,
        epochs=epochs_of_trial(fit),
        folder=folder,
        is_refit=fit.is_refit,
        is_probe=fit.is_probe,
    )
    try:
        made = callbacks(info)
    except Exception as error:
        raise BuildError(f"callbacks= fails: {first_line(error)}") from error
    _check(made)
    # Averaged weights are swapped by hpsearch itself, and fits continue from its own checkpoints.
    handled = keras.callbacks.SwapEMAWeights, keras.callbacks.BackupAndRestore
    if info.is_probe and any(type(each) is keras.callbacks.BackupAndRestore for each in made):
        _say_what_is_left_out()
    return [callback for callback in made if type(callback) not in handled]


@functools.cache  # once a process
def _say_what_is_left_out() -> None:
    log.warning("BackupAndRestore is left out: fits continue from hpsearch's own checkpoints")


def _check(made: Any) -> None:
    if not isinstance(made, list | tuple):
        raise BuildError(
            f"callbacks= must return a list of keras.callbacks.Callback, got {brief(made)}"
        )
    for callback in made:
        if not isinstance(callback, keras.callbacks.Callback):
            raise BuildError(
                f"callbacks= must return a list of keras.callbacks.Callback, got one of "
                f"{brief(callback)}"
            )
    twice = len({id(callback) for callback in made}) < len(made)
    for callback in made:
        # One that has a model was in a fit already. Without Callback.__init__ it has no attribute.
        if twice or getattr(callback, "model", None) is not None:
            name = type(made[0] if twice else callback).__name__
            raise BuildError(
                f"callbacks= returns one {name} "
                f"{'twice in a list' if twice else 'for two fits'}; make a new object in each call"
            )


def epochs_of_trial(fit: Fit) -> int:
    """The epochs that its trial can get, or its own where it is trained to more."""
    return max(fit.epochs, fit.most_epochs or 0)


def _prepare_folder(fit: Fit, checkpoint: Path, continues: bool) -> Path:
    """The folder of a fit's files beside its checkpoint.

    It is as the fit itself left it or, where it begins with its parent's checkpoint, as that did.
    """
    folder = checkpoint.with_suffix("")
    if continues and folder.is_dir():
        return folder
    parent = fit.checkpoint_in.with_suffix("") if fit.checkpoint_in is not None else None
    partial = folder.with_name(f"{folder.name}.partial-files")
    for old in (folder, partial):
        shutil.rmtree(old, ignore_errors=True)
    if parent is not None and parent.is_dir():
        shutil.copytree(parent, partial, symlinks=True)
    else:
        partial.mkdir(parents=True)
    return partial.rename(folder)
