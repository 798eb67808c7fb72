"""Make the card of a model that was trained on all rows, before its test is opened."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from hpsearch.core.arrays import take_rows
from hpsearch.results.baseline_gain import read_gain_of_trial
from hpsearch.runs.study import StudyDefinition
from hpsearch.selection import predictions
from hpsearch.selection.card_facts import count_all, describe_source, describe_weights
from hpsearch.selection.chosen_model import ChosenModel
from hpsearch.store import Store, list_openings


def make_card(
    chosen: ChosenModel,
    study: StudyDefinition,
    store: Store,
    trust: Sequence[str],
    callbacks_left_out: Mapping[str, str],
) -> dict[str, Any]:
    """The card as plain JSON, without a test.

    Args:
        chosen: the model.
        study: whose it is.
        store: where its searches are.
        trust: the types in its preprocessing.
        callbacks_left_out: callbacks that training on all rows went without, and what they watch.
    """
    task, data, searches = chosen.task, chosen.data, chosen.searches
    return {
        "task": task.name,
        "study": study.name,
        "metric": task.measure,
        "direction": task.objective.direction,
        "evaluator": study.evaluator.label,
        "searches": [search.searcher for search in searches],
        "trials": sum(store.journal(search.id).count_complete() for search in searches),
        "data": data.fingerprint,
        "rows": count_all(data),
        **({"validation_rows": data.validation_rows} if data.validation_rows else {}),
        **describe_source(data),
        **describe_weights(task, data),
        **({"callbacks_left_out": dict(callbacks_left_out)} if callbacks_left_out else {}),
        **chosen.description,
        # Baselines are made by none of the study's functions.
        "edited": chosen.choice.baseline is None
        and any(search.source != chosen.record.source for search in searches),
        **({} if chosen.choice.baseline is None else {"baseline": chosen.choice.baseline}),
        "trust": list(trust),
        "versions": json.loads(searches[-1].versions),
        "validation": _score_validation(chosen),
        **_describe_baseline(chosen, store),
        "test": None,
    }


def _describe_baseline(chosen: ChosenModel, store: Store) -> dict[str, Any]:
    """What the model brought over the best baseline; nothing where it has none, or is an ensemble.

    Its value in the test is said too, where it was tested on the same rows.
    """
    if len(chosen.members) > 1 or chosen.choice.baseline is not None:
        return {}
    gain = read_gain_of_trial(store, chosen.members[0].trial)
    if gain is None:
        return {}
    tested = [
        {"value": opening.value, "se": opening.se}
        for opening in list_openings(store)
        if opening.test == chosen.test
        and opening.value is not None
        and [member["trial"] for member in opening.model["members"]] == [gain.baseline.trial]
    ]
    test = tested[-1] if tested else None
    names = ("baseline", "gain", "se", "verdict")
    return {"over_baseline": {name: gain.to_json()[name] for name in names} | {"test": test}}


def _score_validation(chosen: ChosenModel) -> dict[str, Any]:
    """How good the model is on validation rows.

    A single member has its value in the ranking, repeats included; where the ranking has no
    standard error, that over rows is taken. An ensemble is scored on the rows it was chosen on.
    """
    from hpsearch.models import scoring

    task, data = chosen.task, chosen.held_out
    together = predictions.combine(chosen.validated, chosen.weights)
    rows, row_weights = chosen.validated[0].rows, task.metric_weights(data)
    y = take_rows(data.y, rows)
    value, se = scoring.score(task, together, y, None if row_weights is None else row_weights[rows])
    if len(chosen.members) == 1:
        (member,) = chosen.members
        over_rows = None if se is None else math.hypot(se, member.se_of_seeds)
        value, se = member.value, over_rows if member.se is None else member.se
    given = None if data.sample_weight is None else data.sample_weight[rows]
    return {"value": value, "se": se, **predictions.report_scores(task, data, together, y, given)}
