"""Whether a study's models can be built and trained at all: a few points are tried."""

from typing import Any

import numpy as np

from hpsearch.core.data import Data
from hpsearch.core.errors import (
    BuildError,
    FatalError,
    HpsearchError,
    StudyError,
    TrialFailed,
    first_line,
    message_of,
    without_numbers,
)
from hpsearch.core.searched_preprocessing import PreprocessingFailed
from hpsearch.runs.study import StudyDefinition
from hpsearch.training import Split, Trainer
from hpsearch.training.base import WatchedBuild

_POINTS = 8  # tried before a study is refused because all of them fail


class AllPointsFailError(StudyError):
    """The study's code raises the same error at every point that was tried.

    Args:
        points: how many were tried.
        first: the error at the first point, as the study's code raised it.
        described: the same in one line.
    """

    def __init__(self, points: int, first: BaseException, described: str) -> None:
        self.first = first
        super().__init__(f"all {points} points that were tried fail with {described}")


def try_a_few_points(
    study: StudyDefinition, trainer: Trainer, split: Split, data: Data
) -> tuple[str | None, str]:
    """Build models at a few points, and train a step.

    Where the study's code raises at one point, only the trials of that point will fail. The study
    is refused where all points fail in the same way, or hpsearch itself finds a mistake.

    Returns the trainer's remark, if any, and a note about points that fail, else "".
    """
    points, build = study.space.probes(), WatchedBuild(study.trial_function)
    how: dict[str, Any] = {"most_epochs": study.most_epochs, "callbacks": study.callbacks}
    try:
        return trainer.probe(build, points, split, data, **how), ""
    except (Exception, SystemExit) as error:
        _refuse_mistakes(error)
    # Some point failed. Find one that works, among more points than those tried so far.
    rng = np.random.default_rng(0)
    points += [study.space.sample(rng) for _ in range(_POINTS - len(points))]
    errors: list[BaseException] = []
    for point in points:
        try:
            remark = trainer.probe(build, [point], split, data, **how)
            break
        except (Exception, SystemExit) as error:
            _refuse_mistakes(error)
            errors.append(error)
    else:
        remark = None
        first = _original_error(errors[0])
        causes = {without_numbers(first_line(_original_error(error))) for error in errors}
        if len(causes) == 1 and not isinstance(first, TrialFailed):
            raise AllPointsFailError(len(points), first, _describe(errors[0])) from first
    unexpected = [error for error in errors if not isinstance(error, TrialFailed)]
    if not unexpected:
        return remark, ""
    failing = "train" if study.build is None else "build"
    if isinstance(unexpected[0], PreprocessingFailed):
        failing = "preprocess"
    return (
        remark,
        f"{failing} fails at some points; trials of these points will fail: "
        f"{_describe(unexpected[0])}",
    )


def _refuse_mistakes(error: BaseException) -> None:
    """Raise an error again unless the study's own code raised it, at this point."""
    if isinstance(error, FatalError) or isinstance(_original_error(error), HpsearchError):
        raise error


def _describe(error: BaseException) -> str:
    """An error in one line: preprocessing's own names the transformer, or the point."""
    if isinstance(error, PreprocessingFailed):
        return message_of(error)
    return first_line(_original_error(error))


def _original_error(error: BaseException) -> BaseException:
    """The error that the study's code raised, also where a BuildError explains it."""
    return error.__cause__ or error if isinstance(error, BuildError) else error
