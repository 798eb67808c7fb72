"""A study, with all that can be done with it from Python."""

from dataclasses import dataclass

from hpsearch.runs.study import StudyDefinition


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Study(StudyDefinition):
    __doc__ = StudyDefinition.__doc__
