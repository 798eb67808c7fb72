"""A study file and the command line's overrides become a Study, with errors that name the line."""

import contextlib
import importlib.util
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

from hpsearch import evaluators, searchers
from hpsearch.core.errors import HpsearchError, StudyError, first_line, one_line
from hpsearch.core.option_text import option_classes, parse_options
from hpsearch.evaluators import Evaluator
from hpsearch.run.study import Study
from hpsearch.searchers import Searcher


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line sets instead of the study file; None: as the file says."""

    searcher: str | None = None
    evaluator: str | None = None
    trials: int | None = None
    epochs: int | None = None
    seed: int | None = None

    def apply(self, study: Study) -> Study:
        """Raises HpsearchError for an unknown name or option."""
        searcher, evaluator = study.searcher, study.evaluator
        if self.searcher is not None:
            searcher = parse_options(self.searcher, "searcher", option_classes(searchers), searcher)
        if self.evaluator is not None:
            evaluator = parse_options(
                self.evaluator, "evaluator", option_classes(evaluators), evaluator
            )
        assert isinstance(searcher, Searcher)
        assert isinstance(evaluator, Evaluator)
        return replace(
            study,
            searcher=searcher.resized(trials=self.trials, epochs=self.epochs),
            evaluator=evaluator,
            seed=study.seed if self.seed is None else self.seed,
        )


def load(file: Path, overrides: Overrides) -> Study:
    """Run a study file and take what it binds to `study`; its name is the file's stem.

    Raises StudyError, which names the line where the file fails.
    """
    if not file.is_file():
        raise StudyError(f"no such study file: {file}")
    # As for a script: what lies beside the file, and in the current folder, is found first.
    for folder in (str(Path.cwd()), str(file.resolve().parent)):
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(f"hpsearch_study_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise StudyError(f"{file} is not a Python file; a study ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for what the command prints
            spec.loader.exec_module(module)
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        raise StudyError(f"{error.filename or file}{line}: {error.msg}") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the file raises: it must not pass for our own end
        raise StudyError(told(error, file)) from error
    study = getattr(module, "study", None)
    if not isinstance(study, Study):
        raise StudyError(f"{file} binds no `study`; end it with study = Study(task=..., ...)")
    return overrides.apply(study if study.name else replace(study, name=file.stem))


def told(error: BaseException, file: Path) -> str:
    """An error that a study's own code raised, in one line, with its place in the study's file."""
    # A refused option explains itself; of a TypeError or an ImportError the name helps.
    plain = isinstance(error, HpsearchError) or type(error) is ValueError
    return f"{place_in(file, error)}: {one_line(error) if plain else first_line(error)}"


def place_in(file: Path, error: BaseException) -> str:
    """The file, with the last line of it that an error passed through."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve() == file.resolve()
    ]
    return f"{file}:{lines[-1]}" if lines else str(file)
