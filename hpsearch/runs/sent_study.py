"""A study without a file, as it goes to the workers of its run: by cloudpickle, through their pipe.

What is sent is made by this process and read by processes that it started. It is never written to a
disk, and nothing that comes from anywhere else is read so.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any

from hpsearch.core.errors import StudyError, first_line
from hpsearch.runs.study import StudyDefinition


def dump_study(study: StudyDefinition) -> bytes:
    """The study with the functions and the data that it holds, for `load_sent_study`.

    Functions of a notebook, of an interactive session and of the script itself go by value, with
    the variables that they use; those of modules that a worker can import go by name.

    Raises StudyError where it holds what cannot be sent, such as an open file.
    """
    import cloudpickle

    sent = replace(study, after_trial=None)  # called in this process, and may hold anything
    try:
        with _modules_by_value(_modules_of(study)):
            return bytes(cloudpickle.dumps(sent))
    except Exception as error:  # whatever an object raises that will not be pickled
        raise StudyError(
            f"study {study.name} cannot be sent to workers: {first_line(error)}; make such objects "
            "inside build, save the study as a file, or train in this process: inline=True"
        ) from error


def load_sent_study(sent: bytes) -> StudyDefinition:
    """The study that `dump_study` of the parent process wrote."""
    import cloudpickle

    study = cloudpickle.loads(sent)
    assert isinstance(study, StudyDefinition)
    return study


def functions_of(study: StudyDefinition) -> list[Callable[..., Any]]:
    """The study's functions, without what `functools.partial` gave them."""
    task = study.task
    parts: list[Any] = [study.build, study.train, study.callbacks, task.data]
    parts += [task.loss, task.preprocess, task.preprocess_y, task.objective.function]
    return [_unwrap(part) for part in parts if callable(part)]


def _unwrap(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _modules_of(study: StudyDefinition) -> list[ModuleType]:
    """The modules of a study's functions, and of the study files that this process loaded."""
    names = {getattr(function, "__module__", None) for function in functions_of(study)}
    return [
        module
        for name, module in list(sys.modules.items())
        if name in names or name.startswith("hpsearch_study_")
    ]


@contextmanager
def _modules_by_value(modules: list[ModuleType]) -> Iterator[None]:
    """Within this, cloudpickle sends by value what is of modules that a worker could not import.

    Such are study files that hpsearch loaded, and modules that were made by hand.
    """
    import cloudpickle

    registered = []
    for module in modules:
        if not _can_be_imported(module.__name__):
            cloudpickle.register_pickle_by_value(module)
            registered.append(module)
    try:
        yield
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)


def _can_be_imported(name: str) -> bool:
    if name == "__main__":  # cloudpickle sends it by value itself
        return True
    try:
        parent = name.rpartition(".")[0]
        folders = list(sys.modules[parent].__path__) if parent else None
        # Not importlib.util.find_spec, which is content with what is in sys.modules.
        return any(finder.find_spec(name, folders) is not None for finder in sys.meta_path)
    except (ImportError, AttributeError, KeyError, ValueError):
        return False
