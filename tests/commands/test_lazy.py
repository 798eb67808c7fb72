"""What must start at once loads no framework."""

import subprocess
import sys

import pytest

from hpsearch.store import Store
from tests.builders import RECORD, fill_store
from tests.conftest import ROOT

HEAVY = (
    "fsspec", "jax", "jinja2", "keras", "keras_tuner", "matplotlib", "optuna", "pandas", "plotly",
    "psycopg", "ray", "scikeras", "scipy", "sklearn", "sqlalchemy", "tensorflow", "torch", "upath",
)  # fmt: skip


def loaded(code):
    """The heavy packages that are loaded after running code in a fresh interpreter."""
    report = f"import sys; print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import atexit\natexit.register(lambda: exec({report!r}, {{}}))\n{code}",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return ended.stderr.strip().splitlines()[-1]


COMMANDS = [
    ["--help"],
    ["compare", "--help"],
    ["rank"],
    ["rank", "--json"],
    ["show", "1"],
    ["studies"],
    ["completion", "bash"],
    ["help"],
    ["help", "spaces"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_reading_commands_load_no_framework(command, tmp_path):
    with Store(tmp_path / "store.db", create=True) as store:
        fill_store(store, RECORD, 0.5, 0.6)
    code = f"import sys; sys.argv = {['hpsearch', *command]}\nimport hpsearch.commands.main as c\nc.main()"
    assert loaded(code) == "[]"


@pytest.mark.parametrize("words", ["run ", "show ", "rank ", "run --searcher ", "help "])
def test_completing_loads_no_framework(words, tmp_path):
    with Store(tmp_path / "store.db", create=True) as store:
        fill_store(store, RECORD, 0.5, 0.6)
    asked = {"_HPSEARCH_COMPLETE": "bash_complete", "COMP_WORDS": f"hpsearch {words}"}
    asked |= {"COMP_CWORD": str(len(words.split(" ")))}
    code = f"import os; os.environ.update({asked!r})\nimport hpsearch.commands.main as c\nc.main()"
    assert loaded(code) == "[]"


def test_planning_loads_no_framework():
    study = str(ROOT / "studies" / "mnist_dropout.py")
    code = f"import sys; sys.argv = ['hpsearch', 'plan', {study!r}]\nimport hpsearch.commands.main as c\nc.main()"
    assert loaded(code) == "[]"


def test_importing_the_package_and_the_spaces_loads_no_framework():
    tasks = "boston, documents, imdb, keras_pickles, mnist, reuters, seizure, table, wine"
    spaces = "cnn, mlp, network, optimizers, text"
    code = f"import hpsearch; from hpsearch.tasks import {tasks}; from spaces import {spaces}"
    assert loaded(code) == "[]"


def test_public_names_are_sorted_and_there():
    import hpsearch

    assert sorted(hpsearch.__all__) == list(hpsearch.__all__)
    assert all(getattr(hpsearch, name) is not None for name in hpsearch.__all__)
    with pytest.raises(AttributeError, match="no attribute 'KerasSearch'"):
        hpsearch.KerasSearch  # noqa: B018


def test_frames_are_read_without_a_plotting_library(tmp_path):
    with Store(tmp_path / "store.db", create=True) as store:
        fill_store(store, RECORD, 0.5, 0.6)
    heavy = loaded("from hpsearch import Results; r = Results(); r.trials, r.curves, r.failures")
    assert "'pandas'" in heavy
    assert "matplotlib" not in heavy


def test_a_worker_imports_keras_without_what_it_seldom_needs():
    code = (
        "from hpsearch.training import backend, lean_import; backend.choose(); "
        "lean_import.import_keras()"
    )
    heavy = loaded(code)
    assert "'keras'" in heavy
    assert not [name for name in ("matplotlib", "pandas", "sklearn") if name in heavy]
    later = (
        "import keras, numpy as np, pandas; "
        "assert issubclass(keras.wrappers.SKLearnClassifier, __import__('sklearn').base.BaseEstimator);"
        "assert callable(keras.visualization.plot_image_gallery); "
        "model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]); "
        "model.compile(loss='mse'); "
        "model.fit(pandas.DataFrame({'x': np.ones(4)}), np.ones(4), verbose=0)"
    )
    heavy = loaded(f"{code}\n{later}")
    assert all(name in heavy for name in ("matplotlib", "pandas", "sklearn"))


def test_what_brings_scikit_learn_is_loaded_when_asked_for():
    assert loaded("from hpsearch import NestedKFold") == "[]"
    assert "'sklearn'" in (heavy := loaded("from hpsearch import KerasSearchCV"))
    assert "keras" not in heavy
    assert "tensorflow" not in heavy
