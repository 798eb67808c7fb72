"""The guide, as `hpsearch help` shows it."""

import json
import re

import pytest

from hpsearch.commands import guide
from tests.conftest import ROOT


def test_without_a_topic_all_are_listed_with_their_first_line(hpsearch):
    code, out, err = hpsearch("help")
    assert (code, err) == (0, "")
    listed = [line.split(maxsplit=1) for line in out.partition("\n\n")[0].splitlines()]
    assert [(name, text.strip()) for name, text in listed] == [
        (topic, guide.title(topic)) for topic in guide.TOPICS
    ]


@pytest.mark.parametrize("topic", guide.TOPICS)
def test_a_page_is_shown_as_it_was_written(hpsearch, topic):
    code, out, err = hpsearch("help", topic)
    assert (code, err) == (0, "")
    assert out.rstrip("\n") == (ROOT / "hpsearch/guide" / f"{topic}.md").read_text().rstrip("\n")


@pytest.mark.parametrize("topic", guide.TOPICS)
def test_on_a_terminal_markdown_is_rendered_and_not_cut(hpsearch, monkeypatch, topic):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    code, out, _ = hpsearch("help", topic)
    assert code == 0
    assert "```" not in out
    assert ".md)" not in out
    shown = re.sub(r"\x1b\[[\d;]*m|\x1b\]8;.*?\x1b\\\\|\W", "", out)
    page = guide.read_page(topic)
    for line in re.findall(r"^(?:- )?([A-Z][\w ,.]+)$", page, re.MULTILINE):
        assert re.sub(r"\W", "", line) in shown, line


def test_in_json(hpsearch):
    code, out, err = hpsearch("help", "--json")
    assert code == 0
    assert json.loads(out)[0] == {"topic": "first-study", "title": guide.title("first-study")}
    assert "first-study" in err
    page = json.loads(hpsearch("help", "spaces", "--json")[1])
    assert page == {
        "topic": "spaces",
        "title": guide.title("spaces"),
        "text": guide.read_page("spaces"),
    }


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("spacs", "the guide has no topic 'spacs' (did you mean 'spaces'?); `hpsearch help` lists"),
        ("../DECISIONS", "the guide has no topic '../DECISIONS'; `hpsearch help` lists"),
        ("run", "'run' is a command: hpsearch run --help shows its options"),
    ],
)
def test_an_unknown_topic_is_told_in_one_line(hpsearch, topic, message):
    code, out, err = hpsearch("help", topic)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
