"""Completion, as shells ask for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from hpsearch.commands import main
from hpsearch.store import Store
from tests.builders import RECORD, fill_store, make_record
from tests.conftest import ROOT


@pytest.fixture
def store():
    with Store(Path("store.db"), create=True) as store:
        fill_store(store, RECORD, 0.5, 0.9)
        fill_store(
            store,
            make_record(study="two words", task="boston", measure="mae", direction="min"),
            2.5,
        )
    Path("studies").mkdir()
    Path("studies/mine.py").touch()


@pytest.fixture
def shell(store, tmp_path):
    """Run a script in a shell in which `hpsearch` is this one: shell("bash", script) -> lines."""
    Path("bin").mkdir()
    program = Path("bin/hpsearch")
    program.write_text(f"#!{sys.executable}\nfrom hpsearch.commands.main import main\nmain()\n")
    program.chmod(0o755)

    def run(name, script):
        if shutil.which(name) is None:
            pytest.skip(f"no {name}")
        environment = {
            **os.environ,
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(tmp_path),
        }
        ended = subprocess.run(
            [name, "-c", script], env=environment, capture_output=True, text=True, timeout=60
        )
        assert ended.returncode == 0, ended.stderr
        assert ended.stderr == ""
        return ended.stdout.splitlines()

    return run


def bash(*words):
    """What bash does when the tab key is pressed behind these words."""
    quoted = " ".join(f"'{word}'" for word in words)
    return (
        'eval "$(hpsearch completion bash)"; complete -p hpsearch >/dev/null || exit 1; '
        f"COMP_WORDS=(hpsearch {quoted}); COMP_CWORD={len(words)}; "
        '_hpsearch_completion hpsearch; printf "%s\\n" "${COMPREPLY[@]}"'
    )


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ex"], ["export"]),
        (["run", ""], ["s", "studies/mine.py", "two words"]),
        (["run", "../els"], ["../els"]),  # for the shell to complete as a file
        (["rank", "b"], ["boston"]),
        (["rank", "s"], ["s"]),
        (["show", ""], ["1", "2", "3", "s", "two words"]),
        (["delete", "s"], ["s"]),
        (["run", "--log", "w"], ["wandb:"]),
        (["export", "t"], ["tensorboard"]),
        (["export", "csv", "d"], ["digits"]),
        (["run", "--searcher", "h"], ["hyperband"]),
        (["run", "--searcher", "k"], ["kerastuner", "kerastunerhyperband"]),
        (["run", "--searcher", "tp"], ["tpe"]),
        (["run", "--evaluator", ""], ["forward", "given", "holdout", "kfold"]),
        (["refit", "s", "--trial", "2"], ["2"]),
        (["help", "ma"], ["many-machines"]),
        (["rank", "--store", "nowhere.db", ""], []),
    ],
    ids=lambda value: " ".join(value),
)
def test_what_is_offered(store, words, offered):
    *before, incomplete = words
    complete = BashComplete(main.app, {}, "hpsearch", "_HPSEARCH_COMPLETE")
    assert sorted(i.value for i in complete.get_completions(before, incomplete)) == offered


def test_bash_completes(shell):
    assert sorted(shell("bash", bash("run", "s"))) == ["s", "studies/mine.py"]


def test_fish_completes_with_help(shell):
    found = shell("fish", "hpsearch completion fish | source; complete -C 'hpsearch show '")
    assert sorted(line.partition("\t")[0] for line in found) == ["1", "2", "3"]
    assert "2\taccuracy 0.9 s a=1" in found


def test_zsh_takes_the_script(shell):
    assert shell("zsh", 'autoload -U compinit && compinit -u; eval "$(hpsearch completion zsh)"; '
                        "echo $_comps[hpsearch]") == ["_hpsearch_completion"]  # fmt: skip
