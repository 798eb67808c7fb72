"""Names by which people know methods, beside those of the classes."""

import pytest

from hpsearch import Bayes, Genetic, Hyperband, KerasTunerHyperband, Random, searchers
from hpsearch.core.errors import HpsearchError
from hpsearch.core.option_text import option_classes, parse_options
from hpsearch.searchers.names import ABSENT, ALIASES

CLASSES = option_classes(searchers)


def parse(text, current=None):
    return parse_options(text, "searcher", CLASSES, current, aliases=ALIASES, absent=ABSENT)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("tpe", Bayes(sampler="tpe")),
        ("TPE:trials=30,epochs=5", Bayes(30, 5, "tpe")),
        ("gp:30", Bayes(30, sampler="gp")),
        ("cma-es", Bayes(sampler="cmaes")),
        ("nsga2:population=8", Genetic(population=8)),
        ("nsga-2", Genetic()),
        ("kerastuner:max_epochs=9", KerasTunerHyperband(max_epochs=9)),
        ("sha:max_epochs=9", Hyperband(max_epochs=9, brackets=1)),
        ("tpe:sampler=tpe", Bayes()),
    ],
)
def test_a_name_is_the_method_with_its_options(text, same):
    made = parse(text)
    assert made == same
    assert made.label == same.label  # the same search


def test_a_name_and_its_long_form_are_one_search():
    assert parse("tpe:trials=7").label == parse("bayes:trials=9,sampler=tpe").label


def test_a_name_sets_its_option_whatever_the_study_says_and_keeps_the_others():
    current = Bayes(trials=77, epochs=9, sampler="gp")
    assert parse("tpe", current) == Bayes(77, 9, "tpe")
    assert parse("tpe", Random(trials=77)) == Bayes(sampler="tpe")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bohb", "bohb, .* is not among the methods; auto .*hyperband .*tpe"),
        ("BOHB:max_epochs=9", "is not among the methods"),
        ("tpe:sampler=gp", "tpe is bayes:sampler=tpe; drop sampler=gp, or say bayes:sampler=gp"),
        ("sha:brackets=2", "sha is hyperband:brackets=1; drop brackets=2"),
        ("tpee", r"unknown searcher 'tpee' \(did you mean 'tpe'\?\); known: .*random.*tpe"),
        ("keras-tuner-x", "did you mean 'kerastuner'"),
        ("nsga3", "did you mean 'nsga2'"),
    ],
)
def test_a_wrong_name_is_refused_in_one_line(text, message):
    with pytest.raises(HpsearchError, match=message) as error:
        parse(text)
    assert "\n" not in str(error.value)


def test_every_name_is_of_a_method_and_hides_none():
    classes = {cls.__name__ for cls in CLASSES}
    assert {alias.class_name for alias in ALIASES.values()} <= classes
    assert not {name.lower() for name in classes} & {*ALIASES, *ABSENT}
