"""How it can be repeated: the study's text, seeds, versions, and the command."""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from hpsearch.report.html.gathered import Gathered
from hpsearch.store import SearchRecord


def searches(gathered: Gathered) -> list[Mapping[str, Any]]:
    """What is told of each search, the oldest first."""
    found = []
    for of in gathered.comparisons:
        for search in of.searches:
            trials = of.trials[of.trials["search"] == search.id]
            repeats = of.repeats.loc[of.repeats["trial"].isin(trials.index), "repeat"]
            found.append(
                {
                    "record": search,
                    "trials": len(trials),
                    "versions": json.loads(search.versions),
                    "command": command(
                        search,
                        len(trials),
                        int(repeats.max()) if len(repeats) else 0,
                        continues=bool(trials["parent"].notna().any()),
                    ),
                }
            )
    return sorted(found, key=lambda each: each["record"].id)


def command(search: SearchRecord, trials: int, repeats: int, *, continues: bool) -> str:
    """The command that does the search again, whatever the study's file says of its options."""
    words = ["python", "-m", "hpsearch", "run", search.file]
    words += ["--searcher", option(search.searcher), "--evaluator", option(search.evaluator)]
    if not continues:
        words += ["--trials", str(trials)]
    words += ["--seed", str(search.seed), "--backend", search.backend]
    words += ["--repeats", str(repeats)] if repeats else []
    return shlex.join(words)


def option(label: str) -> str:
    """A label as the command line takes it.

    >>> option("Hyperband(max_epochs=27, eta=3)")
    'hyperband:max_epochs=27,eta=3'
    """
    name, _, rest = label.partition("(")
    values = re.sub(r",\s+", ",", rest.removesuffix(")"))
    return name.lower() + (f":{values}" if values else "")
