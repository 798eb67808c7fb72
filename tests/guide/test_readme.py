"""The code and the commands of the README and of the guide run as they stand."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from hpsearch.commands import guide, main
from tests.conftest import ROOT

FOLDER = ROOT / "hpsearch" / "guide"
PAGES = [ROOT / "README.md", *(FOLDER / f"{topic}.md" for topic in guide.TOPICS)]


@dataclass(frozen=True)
class Example:
    """A block of Python, or one command, in the page's order."""

    page: str
    language: str
    code: str
    needs_data: bool


def examples(page):
    found = re.findall(r"(<!-- needs data.*?-->\n)?```(\w+)\n(.*?)```", page.read_text(), re.DOTALL)
    for needs_data, language, code in found:
        if language == "python":
            yield Example(page.name, language, code, bool(needs_data))
        if language == "sh":
            for line in code.splitlines():
                yield Example(page.name, language, line, bool(needs_data))


EXAMPLES = {page.stem: list(examples(page)) for page in PAGES}
IDS = [page.stem for page in PAGES]
FIRST_READ = ["README", "first-study", "notebooks"]


def test_the_two_first_commands_need_nothing_before_them():
    installs = [e.code for e in EXAMPLES["README"] if e.code.startswith("pip install")]
    assert installs == [
        "pip install -e . && python -m hpsearch run studies/digits_dropout.py",
        'pip install -e ".[dev]" && python -m pytest -n 2 --dist worksteal',
    ]


def test_the_readme_is_short_and_leads_to_every_page():
    text = PAGES[0].read_text()
    assert len(text.splitlines()) <= 200
    assert all(f"](hpsearch/guide/{topic}.md)" in text for topic in guide.TOPICS)
    assert sorted(path.stem for path in FOLDER.glob("*.md")) == sorted(guide.TOPICS)


def test_the_readme_names_every_command():
    assert set(re.findall(r"^\| `(\w+)[ `]", PAGES[0].read_text(), re.MULTILINE)) == set(
        main.app.commands
    )


def test_the_study_of_the_readme_is_the_one_that_it_runs():
    (code,) = [e.code for e in EXAMPLES["README"] if "study = Study(" in e.code]
    assert code.strip() in (ROOT / "studies" / "digits_dropout.py").read_text()


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES[1:], ids=IDS[1:])
def test_a_page_has_a_title_and_begins_with_an_example(page):
    lines = page.read_text().splitlines()
    assert re.match(r"# \S.{10,80}$", lines[0])
    before_the_second_heading = re.split(r"\n## ", page.read_text())[0]
    first_block = re.search(r"```(\w+)\n", before_the_second_heading)
    assert first_block
    assert first_block[1] in ("python", "sh")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_options_that_are_named_exist(page):
    ours = {
        name
        for command in main.app.commands.values()
        for option in command.params
        if isinstance(option, click.Option)
        for name in option.opts
    }
    of_others = {"--dist", "--whole", "--logdir", "--backend-store-uri", "--help", "--debug"}
    found = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", page.read_text()))
    assert found - ours - of_others == set()


@pytest.mark.slow
@pytest.mark.timeout(1200)  # of all, some forty commands
@pytest.mark.parametrize("pages", [FIRST_READ, pytest.param(IDS, marks=pytest.mark.thorough)])
def test_examples_run(in_a_copy, hpsearch, pages):
    """One page after the other, in one folder, in which later pages find the trials of earlier
    ones. What several pages say is run once.
    """
    before, named = set(), {}
    for name in pages:
        new = [e for e in EXAMPLES[name] if e.language == "python" or e.code not in before]
        before |= {example.code for example in new}
        named[name] = run_examples(new, hpsearch)
    assert named["README"]["score"].mean > 0.9


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("page", IDS)
def test_a_page_runs_without_the_others(in_a_copy, hpsearch, page):
    run_examples(EXAMPLES[page], hpsearch)


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.realdata
def test_examples_on_real_data_run(in_a_copy, hpsearch):
    """With one trial of one epoch, so that it does not take minutes."""
    for example in (e for examples in EXAMPLES.values() for e in examples if e.needs_data):
        run(example.code.replace("--trials 6 --epochs 5", "--trials 1 --epochs 1"), hpsearch)


@pytest.fixture
def in_a_copy(tmp_path):
    """A folder with what the examples read, in which they may write."""
    for name in ("studies", "spaces"):
        shutil.copytree(ROOT / name, tmp_path / name)


def run_examples(examples, hpsearch):
    """Run the examples of one page, but for installing and those that need data: what Python named.

    Python that begins with a comment of a file's name is also saved as that file, as the page asks.
    """
    namespace = {}
    for example in examples:
        if example.needs_data or example.code.startswith("pip install"):
            continue
        if example.language == "sh":
            run(example.code, hpsearch)
            continue
        if file := re.match(r"# (\w+\.py)\n", example.code):
            Path(file[1]).write_text(example.code)
        exec(compile(example.code, example.page, "exec"), namespace)
    return namespace


def run(line, hpsearch):
    """What trains runs in a process of its own; what reads, in this one, which has started."""
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "hpsearch"]
    if words[3] in ("plan", "rank", "show", "compare", "report", "studies", "doctor"):
        code, _, err = hpsearch(*words[3:])
        assert code == 0, f"{line}\n{err}"
        return
    ended = subprocess.run(
        [sys.executable, *words[1:]],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, f"{line}\n{ended.stderr}"
