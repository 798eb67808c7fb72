"""A store as pandas frames, for notebooks and for whatever draws."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from hpsearch.store import Store

_TRIALS = """
SELECT a.id AS trial, s.study, s.task, s.searcher, s.evaluator, s.seed, s.measure AS metric,
       s.direction,
       CASE WHEN t.trial IS NULL THEN 'running' WHEN t.value IS NULL THEN 'failed'
            ELSE 'complete' END AS state,
       coalesce(r.value, t.value) AS value, CASE WHEN r.trial IS NULL THEN t.se ELSE r.se END AS se,
       t.best_epoch, coalesce(t.epochs, a.epochs) AS epochs, a.epochs AS asked_epochs, p.id AS parent,
       (SELECT count(own) FROM repeats n WHERE n.search = a.search AND n.trial = a.trial) AS repeats,
       t.parameters, t.seconds, t.peak_bytes, t.device, a.at AS asked, t.started, t.at AS ended,
       t.failure, t.message, t.detail, a.params, a.search, a.trial AS number
FROM asked a JOIN searches s ON s.id = a.search
LEFT JOIN told t ON t.search = a.search AND t.trial = a.trial
LEFT JOIN asked p ON p.search = a.search AND p.trial = a.parent AND p.answer = 'suggest'
LEFT JOIN repeats r ON r.search = a.search AND r.trial = a.trial AND r.repeat =
  (SELECT max(repeat) FROM repeats m WHERE m.search = a.search AND m.trial = a.trial
   AND m.value IS NOT NULL)
WHERE a.answer = 'suggest' AND s.id NOT IN (SELECT search FROM retired)
  AND (:study IS NULL OR s.study = :study) AND (:task IS NULL OR s.task = :task)
ORDER BY a.id
"""

_CURVES = """
SELECT a.id AS trial, c.repeat, c.fold, c.train, c.validation, c.train_loss, c.validation_loss
FROM curves c JOIN asked a ON a.search = c.search AND a.trial = c.trial AND a.answer = 'suggest'
JOIN searches s ON s.id = c.search
WHERE s.id NOT IN (SELECT search FROM retired)
  AND (:study IS NULL OR s.study = :study) AND (:task IS NULL OR s.task = :task)
ORDER BY a.id, c.repeat, c.fold
"""

_LISTS = ["train", "validation", "train_loss", "validation_loss"]
_TIMES = ["asked", "started", "ended"]


class Results:
    """What a store holds, of all studies, or of one study or task; read when first asked for.

    Raises StoreError where there is no store.
    """

    def __init__(
        self,
        store: str | Path = ".hpsearch/store.db",
        *,
        study: str | None = None,
        task: str | None = None,
    ) -> None:
        self.store, self.study, self.task = Path(store), study, task
        with Store(self.store):
            pass

    @cached_property
    def trials(self) -> pd.DataFrame:
        """A row a trial, by its id, running and failed ones too; a column `params_x` for each
        parameter x. value and se are over all trainings; asked, started and ended are UTC; epochs
        are fewer than asked_epochs where a trial failed or stopped early; search is of the store.
        """
        frame = self._read(_TRIALS).set_index("trial")
        points = pd.DataFrame(
            [json.loads(text) for text in frame.pop("params")], index=frame.index
        ).add_prefix("params_")
        for name in _TIMES:
            frame[name] = pd.to_datetime(frame[name].astype("float64"), unit="s", utc=True)
        for name in ("parent", "best_epoch", "parameters", "peak_bytes"):
            frame[name] = frame[name].astype("Int64")
        return pd.concat([frame.drop(columns=["number", "detail"]), points], axis=1)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """A row an epoch of each fold of each training (repeat 0: the first): the metric on
        training and validation rows, and the minimised loss on both.
        """
        frame = self._read(_CURVES)
        lists = {name: frame[name].map(json.loads) for name in _LISTS}
        epochs = lists["validation"].map(lambda values: range(1, len(values) + 1))
        frame = frame.assign(**lists, epoch=epochs)
        frame = frame.explode(["epoch", *_LISTS], ignore_index=True)
        frame = frame.astype({"epoch": "int64"} | dict.fromkeys(_LISTS, "float64"))
        return frame[["trial", "repeat", "fold", "epoch", *_LISTS]]

    @cached_property
    def failures(self) -> pd.DataFrame:
        """A row a failed trial, by its id: study, kind, message, traceback, device, when."""
        frame = self._read(_TRIALS).set_index("trial")
        frame = frame.loc[frame["state"] == "failed"]
        frame = frame.rename(columns={"failure": "kind", "detail": "traceback"})
        frame["ended"] = pd.to_datetime(frame["ended"].astype("float64"), unit="s", utc=True)
        return frame[["study", "kind", "message", "traceback", "device", "ended"]]

    @cached_property
    def points(self) -> dict[int, dict[str, Any]]:
        """Each trial's point by the trial's id, in the types of its space: a column of `trials`
        that some trials lack turns whole numbers into floats.
        """
        frame = self._read(_TRIALS)
        return dict(zip(frame["trial"], frame["params"].map(json.loads), strict=True))

    def _read(self, query: str) -> pd.DataFrame:
        which: dict[str, Any] = {"study": self.study, "task": self.task}
        with Store(self.store) as store:
            rows = store.db.execute(query, which)
            names = [column[0] for column in rows.description]
            return pd.DataFrame(rows.fetchall(), columns=names)
