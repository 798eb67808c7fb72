"""Load a study file, with the values that the command line sets instead; errors name the line."""

import contextlib
import importlib.machinery
import importlib.util
import sys
import traceback
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import CodeType

from hpsearch import evaluators, searchers
from hpsearch.core.errors import HpsearchError, StudyError, first_line, one_line
from hpsearch.core.one_run import LoadingEnded, forbid_while_loading
from hpsearch.core.option_text import option_classes, parse_options
from hpsearch.evaluators import Evaluator
from hpsearch.runs.study import StudyDefinition
from hpsearch.runs.study_text import binds_study_once
from hpsearch.searchers import Auto, Searcher
from hpsearch.searchers.names import ABSENT, ALIASES

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Overrides:
    """Values that replace the study file's. None: as the file says.

    Args:
        searcher, evaluator: as text, like random:trials=50.
        trials: how many trials the searcher trains, at most.
        epochs: how many epochs a trial trains, at most.
        seed: the study's seed.
        until_luck: True: the searcher ends where what is left to find is less than the standard
            error over folds.
    """

    searcher: str | None = None
    evaluator: str | None = None
    trials: int | None = None
    epochs: int | None = None
    seed: int | None = None
    until_luck: bool | None = None

    @property
    def given(self) -> dict[str, str | int | bool]:
        """Those that are set, by their names."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: v for name, v in values.items() if v is not None and v is not False}

    def apply(self, study: StudyDefinition) -> StudyDefinition:
        """A study with these values. Raises HpsearchError for an unknown name or option."""
        searcher, evaluator = study.searcher, study.evaluator
        if self.searcher is not None:
            searcher = parse_options(
                self.searcher,
                "searcher",
                option_classes(searchers),
                searcher,
                aliases=ALIASES,
                absent=ABSENT,
            )
        if self.evaluator is not None:
            evaluator = parse_options(
                self.evaluator, "evaluator", option_classes(evaluators), evaluator
            )
        assert isinstance(searcher, Searcher)
        assert isinstance(evaluator, Evaluator)
        if self.until_luck:
            if not isinstance(searcher, Auto):
                raise HpsearchError(
                    f"--until-luck has no effect on {searcher.label}, which cannot tell what is "
                    "left to find; drop it, or add --searcher auto"
                )
            searcher = replace(searcher, until_luck=True)
        return replace(
            study,
            searcher=searcher.resized(trials=self.trials, epochs=self.epochs),
            evaluator=evaluator,
            seed=study.seed if self.seed is None else self.seed,
        )


class _TextLoader(importlib.machinery.SourceFileLoader):
    """Runs a file as its text stands, without bytecode.

    Python takes bytecode for that of a file that was changed within a second and is as long.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def load_study(file: Path, overrides: Overrides) -> StudyDefinition:
    """Run a study file and return what it binds to `study`, named by the file's stem.

    Raises StudyError, which names the line where the file fails.
    """
    if not file.is_file():
        raise StudyError(f"no such study file: {file}")
    # As for a script, imports look beside the file first, and in the current folder.
    for folder in (str(Path.cwd()), str(file.resolve().parent)):
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)
    name = f"hpsearch_study_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file, loader=_TextLoader(name, str(file)))
    if file.suffix != ".py" or spec is None or spec.loader is None:
        raise StudyError(f"{file} is not a Python file; a study ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        # stdout is the command's own.
        with contextlib.redirect_stdout(sys.stderr), forbid_while_loading():
            spec.loader.exec_module(module)
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        raise StudyError(f"{error.filename or file}{line}: {error.msg}") from error
    except KeyboardInterrupt:
        raise
    except LoadingEnded as ended:  # a script that runs what it defines: the rest is not needed
        if not binds_study_once(file):  # it may mean another than the first
            raise StudyError(f"{locate_error(ended, file)}: {one_line(ended)}") from ended
    except BaseException as error:  # also SystemExit: the file may not end the command
        raise StudyError(describe_error(error, file)) from error
    study = getattr(module, "study", None)
    if not isinstance(study, StudyDefinition):
        raise StudyError(f"{file} binds no `study`; end it with study = Study(task=..., ...)")
    return overrides.apply(study if study.name else replace(study, name=file.stem))


def describe_error(error: BaseException, file: Path | None) -> str:
    """An error that the study's code raised, in one line, with its place in the study's file."""
    # A refused option explains itself; for others, such as an ImportError, the class helps.
    plain = isinstance(error, HpsearchError) or type(error) is ValueError
    return f"{locate_error(error, file)}: {one_line(error) if plain else first_line(error)}"


def locate_error(error: BaseException, file: Path | None) -> str:
    """The file, and the last line of it that an error passed through.

    Of a study without a file: the function of the user's own, and the line.
    """
    if file is None:
        own = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if _PACKAGE not in Path(frame.filename).parents
            and "site-packages" not in Path(frame.filename).parts
        ]
        return f"the study, line {own[-1].lineno} of {own[-1].name}" if own else "the study"
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve() == file.resolve()
    ]
    return f"{file}:{lines[-1]}" if lines else str(file)
