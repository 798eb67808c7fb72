"""`--together`: what memory holds is known before anything is spent."""

import pytest

from hpsearch import Choice, Float, KFold, Random, Space, Study
from hpsearch.core.errors import StudyError
from hpsearch.runs.worker import prepare_work
from hpsearch.tasks import digits
from hpsearch.training import backend
from spaces import mlp

STUDY = Study(
    task=digits.task(),
    space=Space(learning_rate=Float(1e-4, 1e-2), optimizer=Choice("adam")),
    build=mlp.model(hidden=(10,)),
    searcher=Random(trials=4, epochs=1),
    evaluator=KFold(3),
    name="together",
)
WEIGHTS = 64 * 10 + 10 + 10 * 10 + 10
on_jax = pytest.mark.skipif(backend.name() != "jax", reason="side by side on jax")


def prepare(**options):
    facts, _ = prepare_work(STUDY, STUDY.task.load(), **options)
    return facts


@on_jax
def test_more_trials_than_memory_holds_are_refused_with_what_it_holds(monkeypatch):
    from hpsearch.training.batched import trainer

    each = 4 * 4 * WEIGHTS + 100  # weights, gradients and the two moments of adam; its counters
    monkeypatch.setattr(trainer, "free_bytes", lambda: 12 * each)
    with pytest.raises(StudyError, match=r"--together 9: .*, 3 for each trial; --together 4 is"):
        prepare(together=9)
    assert prepare(together=4).together == 4
    assert prepare().together == 4
    assert prepare(together=9, engine="fit").together == 1


@on_jax
def test_as_many_as_the_user_says_train_side_by_side():
    assert prepare(together=200).together == 200
    assert prepare().together > 40


def test_where_nothing_trains_side_by_side_it_is_said():
    facts = prepare(together=9, engine="fit")
    assert facts.together == 1
    assert "--together 9 has no effect" in facts.remark
    assert "--together" not in prepare(engine="fit").remark
