"""How to repeat a search: the study's text, seeds, versions, and the command."""

import json
from collections.abc import Mapping
from typing import Any

from hpsearch import evaluators, searchers
from hpsearch.core.option_text import option_classes, option_text
from hpsearch.results.report_data import ReportData
from hpsearch.store import SearchRecord
from hpsearch.store.command_text import call_text, command_text


def describe_searches(data: ReportData) -> list[Mapping[str, Any]]:
    """What the page shows of each search, the oldest first."""
    found = []
    for comparison in data.comparisons:
        for search in comparison.searches:
            trials = comparison.trials[comparison.trials["search"] == search.id]
            repeats = comparison.repeats.loc[
                comparison.repeats["trial"].isin(trials.index), "repeat"
            ]
            found.append(
                {
                    "record": search,
                    "trials": len(trials),
                    "versions": json.loads(search.versions),
                    "command": run_command(
                        search,
                        len(trials),
                        int(repeats.max()) if len(repeats) else 0,
                        continues=bool(trials["parent"].notna().any()),
                    ),
                }
            )
    return sorted(found, key=lambda each: each["record"].id)


def run_command(search: SearchRecord, trials: int, repeats: int, *, continues: bool) -> str:
    """The command that runs the search again, whatever options the study's file has by now.

    A searcher or an evaluator of the user's own is left to the study's file. Of a study without a
    file it is the call, for the notebook or script that makes the study.

    Args:
        trials: how many the search has.
        repeats: how often its trials were repeated.
        continues: whether any trial continued another; the searcher then sets their number.
    """
    labels = {"searcher": search.searcher, "evaluator": search.evaluator}
    options: dict[str, str | int | None] = {n: command_option(each) for n, each in labels.items()}
    options["trials"] = None if continues else trials
    options |= {"seed": search.seed, "backend": search.backend, "repeats": repeats or None}
    given = {name: value for name, value in options.items() if value is not None}
    if not search.file:
        return call_text("run", None, **given)
    return command_text("run", search.file, None, **given)


def command_option(label: str) -> str | None:
    """A searcher's or evaluator's label as the command line takes it; None where it cannot.

    >>> command_option("Hyperband(max_epochs=27, eta=3)")
    'hyperband:max_epochs=27,eta=3,min_epochs=1,brackets=None'
    """
    methods = (*option_classes(searchers), *option_classes(evaluators))
    return option_text(label, methods, not_in_labels=("trials", "iterations"))
