"""The one entry: all findings of the searches in a store."""

from collections.abc import Callable, Collection
from pathlib import Path

from hpsearch.doctor.budget import find_good_default, find_good_plain_model, find_spent_budget
from hpsearch.doctor.costs import find_compiling, find_idle_device
from hpsearch.doctor.curves import find_overfitting, find_underfitting, find_useless_beginnings
from hpsearch.doctor.evidence import SearchEvidence, read_evidence
from hpsearch.doctor.failures import find_common_failure
from hpsearch.doctor.findings import Diagnosis, Finding
from hpsearch.doctor.folds import find_disagreeing_folds
from hpsearch.doctor.openings import find_repeated_openings
from hpsearch.doctor.space import find_best_at_edge, find_idle_parameters
from hpsearch.results.search_names import name_searches
from hpsearch.store import Store, Url
from hpsearch.store.command_text import command_text

Check = Callable[[SearchEvidence], list[Finding]]

# In the order of their weights: what makes the result wrong, what limits it, what wastes time.
CHECKS: tuple[Check, ...] = (
    find_common_failure,
    find_best_at_edge,
    find_repeated_openings,
    find_disagreeing_folds,
    find_overfitting,
    find_useless_beginnings,
    find_underfitting,
    find_compiling,
    find_good_plain_model,
    find_good_default,
    find_spent_budget,
    find_idle_parameters,
    find_idle_device,
)


def diagnose_searches(
    store: Path | Url, *, study: str | None = None, searches: Collection[int] | None = None
) -> list[Diagnosis]:
    """The findings of each search in a store, oldest search first; reads the store only.

    A search without a finding has a diagnosis with none.

    Args:
        study: only searches of this study, by its name.
        searches: only these, by their ids.

    Raises StoreError where there is no store.
    """
    with Store(store) as opened:
        chosen = [
            each
            for each in opened.searches(study)
            if not each.has_baselines and (searches is None or each.id in searches)
        ]
        read = [read_evidence(opened, record, store) for record in chosen]
    names = name_searches(chosen)
    return [
        Diagnosis(
            evidence.record.id,
            evidence.record.study,
            evidence.record.task,
            names[evidence.record.id],
            len(evidence.complete),
            find_findings(evidence),
            command_text("doctor", evidence.record.study, store, all=True),
        )
        for evidence in read
    ]


def find_findings(evidence: SearchEvidence) -> list[Finding]:
    """The findings of one search, by all checks, gravest first."""
    found = [finding for check in CHECKS for finding in check(evidence)]
    return sorted(found, key=lambda finding: -finding.weight)
