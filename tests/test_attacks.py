"""A share of the attacks: a few cases of each, drawn by one seed, and those that once failed."""

import pytest

from tests.attacks.__main__ import known_attacks
from tests.attacks.figures import Figures, table

# How many cases of each; what is not named here is drawn by its own tests.
SHARES = {
    "builders.builders": 60,
    "builders.steps": 6,
    "plain_models.baselines": 20,
    "preparation.functions": 30,
    "targets.targets": 30,
    "texts.layers": 12,
    "texts.texts": 6,
    "time_series.times": 80,
    "time_series.windows": 60,
    "bad_inputs.calls": 400,
    "bad_inputs.environment": 3,
    "bad_inputs.options": 6,
    "bad_inputs.outputs": 6,
    "bad_inputs.places": 5,
    "bad_inputs.studies": 8,
    "bad_inputs.tables": 4,
    "checkpoint_damage.files": 60,
    "faults.faults": 1,
    "hostile_data.files": 25,
    "hostile_folders.folders": 25,
    "hostile_sources.sources": 25,
    "kills.fit": 3,
    "lost_stores.lost_stores": 1,
    "store_damage.stores": 40,
    "terminals.terminals": 3,
    "worker_faults.fit": 4,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARES)
def test_a_share_of_an_attack_ends_in_one_line_or_works(name):
    figures = known_attacks()[name](SHARES[name], 17)
    assert not figures.failures, "\n".join(
        f"{f.verdict}: {f.case}\n{f.detail}" for f in figures.failures
    )
    assert figures.tried >= SHARES[name]


def test_the_table_counts_each_way_to_end_and_all_of_them():
    one, two = Figures("one"), Figures("two")
    one.add("clear", "a")
    one.add("traceback", "b", "how to see it")
    two.add("clear", "c")
    assert table([one, two]).splitlines()[2:] == [
        "| one | 2 | 1 | 0 | 0 | 0 | 0 | 1 | 0 | 0 |",
        "| two | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |",
        "| all | 3 | 2 | 0 | 0 | 0 | 0 | 1 | 0 | 0 |",
    ]
    assert [(f.case, f.verdict) for f in one.failures] == [("b", "traceback")]


def test_a_verdict_that_no_table_shows_is_refused():
    with pytest.raises(ValueError, match="no verdict"):
        Figures("one").add("fine", "a")
