"""The compiled programs of this process, which tests of other files fill too."""

from typing import Any


def forget_programs() -> Any:
    """As in a new process; returns what holds the programs from then on."""
    from hpsearch.training.batched.program import PROGRAMS
    from hpsearch.training.batched.template import TemplateRegistry

    PROGRAMS._compiled.clear()
    PROGRAMS.templates = TemplateRegistry()
    return PROGRAMS
