"""The user's guide: one Markdown page a topic, in hpsearch/guide/."""

from pathlib import Path

import hpsearch
from hpsearch.core.errors import HpsearchError
from hpsearch.core.option_text import did_you_mean

_FOLDER = Path(hpsearch.__file__).parent / "guide"

# In the order in which a newcomer would read them.
TOPICS = (
    "first-study",
    "data",
    "series",
    "text",
    "tasks",
    "training",
    "spaces",
    "methods",
    "evaluators",
    "your-own-table",
    "overnight",
    "many-machines",
    "doctor",
    "choosing-honestly",
    "reports",
    "notebooks",
    "other-tools",
    "side-by-side",
    "coming-from-others",
    "troubleshooting",
)


def read_page(topic: str) -> str:
    """The text of a topic's page. Raises HpsearchError where there is no such topic."""
    if topic not in TOPICS:
        raise HpsearchError(
            f"the guide has no topic {topic!r}{did_you_mean(topic, TOPICS)}; `hpsearch help` lists "
            "the topics"
        )
    return (_FOLDER / f"{topic}.md").read_text(encoding="utf-8")


def title(topic: str) -> str:
    """The first line of a topic's page, without its #."""
    return read_page(topic).partition("\n")[0].removeprefix("# ")
