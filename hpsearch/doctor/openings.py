"""The finding that the sealed test was opened before."""

from hpsearch.doctor.evidence import SearchEvidence
from hpsearch.doctor.findings import Finding


def find_repeated_openings(evidence: SearchEvidence) -> list[Finding]:
    """The same test rows were opened for several models, so that the best of these is lucky."""
    tests = {o.test for o in evidence.openings if o.study == evidence.record.study}
    # A study that has not opened them yet will open them once more.
    opened = [o for o in evidence.openings if not tests or o.test in tests]
    most = max((opening.nth for opening in opened), default=0)
    if most < 2:
        return []
    studies = sorted({opening.study for opening in opened})
    return [
        Finding(
            "test",
            "",
            0.65,
            f"the test rows of {evidence.record.task} were opened {most} times, by "
            f"{', '.join(studies)}: the best of these numbers is optimistic",
            {"openings": most, "studies": studies},
            "report the first opening, or test on new rows; keep the test sealed until the choice is made",
            evidence.command("refit", sealed=True),
        )
    ]
