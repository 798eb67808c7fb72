"""What models predict for rows they were not trained on, and how good that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from hpsearch.seeds import derive
from hpsearch.selection.choice import Member
from hpsearch.study import Study
from hpsearch.task import Array, Data, Task


@dataclass(frozen=True, slots=True, eq=False)
class Validated:
    """predicted: of shape (n, outputs), for the data's rows of these indices, of shape (n,)."""

    predicted: Array
    rows: Array


def validated(
    study: Study, data: Data, members: Sequence[Member], *, engine: str, backend: str
) -> list[Validated]:
    """Each member's predictions for the rows it was validated on.

    It is trained once more as the search trained it first, to its best epoch. Over repeated
    folds predictions are averaged.
    """
    from hpsearch.training import final

    splits = study.evaluator.splits(study.task, data, seed=derive(study.seed, "splits"))
    fits = [
        fit
        for member in members
        for fit in study.evaluator.plan_fits(
            splits, study.build, member.params, epochs=member.best_epoch, seed=study.seed
        )
    ]
    trained = final.train(study.task, data, fits, engine=engine, backend=backend)
    found: list[Validated] = []
    for _ in members:
        total, times = None, np.zeros(data.rows)
        for split in splits:
            predicted = next(trained).predict_validation()
            if total is None:
                total = np.zeros((data.rows, predicted.shape[1]))
            total[split.validation] += predicted
            times[split.validation] += 1
        assert total is not None
        rows = np.flatnonzero(times)
        found.append(Validated(total[rows] / times[rows, None], rows))
    return found


def tested(task: Task, data: Data, folder: Path) -> dict[str, Any]:
    """What the kept models make of the test rows; nothing else reads these.

    Together they are the model; `alone` is what each of them is by itself.
    """
    from hpsearch.training import kept, scoring

    x, y = data.x_test, data.y_test
    assert x is not None
    assert y is not None
    models = kept.load(folder)
    each = list(models.each(x))
    together = models.mean(each)
    value, se = scoring.score(task, together, y)
    alone, errors = zip(*(scoring.score(task, predicted, y) for predicted in each), strict=True)
    _write(folder / "test.csv", true=y.reshape(len(y), -1), predicted=together)
    return {
        "value": value,
        "se": se,
        "rows": len(y),
        "alone": list(alone),
        "alone_mean": fmean(alone),
        "alone_se": _error_of_mean(alone, errors),
        **scoring.report(task, together, y),
    }


def _write(path: Path, **blocks: Array) -> None:
    """Blocks of columns as a CSV file."""
    names = [f"{name}_{i}" for name, block in blocks.items() for i in range(block.shape[1])]
    table = np.column_stack(list(blocks.values()))
    np.savetxt(path, table, "%.6g", ",", header=",".join(names), comments="")


def _error_of_mean(alone: Sequence[float], errors: Sequence[float | None]) -> float | None:
    """Of the mean over seeds: that over rows, which all share, and that of the seeds."""
    if any(error is None for error in errors):
        return None
    over_rows = fmean(error for error in errors if error is not None)
    over_seeds = stdev(alone) / len(alone) ** 0.5 if len(alone) > 1 else 0.0
    return float(np.hypot(over_rows, over_seeds))
