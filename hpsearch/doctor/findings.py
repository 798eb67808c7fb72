"""A finding, and the findings of one search."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

MOST_SHOWN = 3  # findings of a search: with more, nobody would follow the first


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a search.

    Args:
        check: which check found it, such as "edge".
        subject: what it is about, such as a parameter's name; "" for the search as a whole.
        weight: by which findings are ordered, in [0, 1]; see README.md.
        sentence: what is wrong, in plain words, with the figure on which it rests.
        figures: the numbers that the sentence rests on, by name.
        way_out: what to do, in a few words.
        line: a line of the study, or a command, that does it; "" where there is none.
    """

    check: str
    subject: str
    weight: float
    sentence: str
    figures: dict[str, Any]
    way_out: str
    line: str = ""

    @property
    def text(self) -> str:
        """The sentence with a capital and a full stop."""
        return f"{start_with_capital(self.sentence)}."


def start_with_capital(text: str) -> str:
    """A text whose first letter is a capital.

    >>> start_with_capital("the best lie at the end")
    'The best lie at the end'
    """
    return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The findings of one search, gravest first.

    Args:
        search: the search's id; study, task: its names.
        name: what distinguishes it from other searches of its study; else the study's name.
        complete: how many of its trials ended well.
        findings: all of them.
        show_all: the command that shows all of them.
    """

    search: int
    study: str
    task: str
    name: str
    complete: int
    findings: Sequence[Finding]
    show_all: str

    @property
    def shown(self) -> Sequence[Finding]:
        """The gravest findings, as many as are shown at a time."""
        return self.findings[:MOST_SHOWN]

    def to_json(self) -> dict[str, Any]:
        """The fields by their names in JSON documents."""
        return asdict(self)
