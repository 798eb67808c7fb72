"""Three tables as CSV files in a folder: trials.csv, curves.csv and failures.csv."""

from pathlib import Path

from hpsearch.report.results import Results


def write(results: Results, where: Path) -> None:
    where.mkdir()
    results.trials.to_csv(where / "trials.csv", encoding="utf-8")
    results.curves.to_csv(where / "curves.csv", index=False, encoding="utf-8")
    results.failures.to_csv(where / "failures.csv", encoding="utf-8")
