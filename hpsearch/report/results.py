"""A store as pandas frames, for notebooks and for whatever draws."""

import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import pandas as pd

from hpsearch.store import Rows, Store, Url, all_curves, all_trials, place

_LISTS = ["train", "validation", "train_loss", "validation_loss"]
_TIMES = ["asked", "started", "ended"]


class Results:
    """What a store holds, of all studies, or of one study or task; read when first asked for.

    Raises StoreError where there is no store.
    """

    def __init__(
        self,
        store: str | Path | Url = ".hpsearch/store.db",
        *,
        study: str | None = None,
        task: str | None = None,
    ) -> None:
        self.store, self.study, self.task = place(store), study, task
        with Store(self.store):
            pass

    @cached_property
    def trials(self) -> pd.DataFrame:
        """A row a trial, by its id, running and failed ones too; a column `params_x` for each
        parameter x. value and se are over all trainings; asked, started and ended are UTC.
        """
        frame = self._read(all_trials).set_index("trial")
        points = pd.DataFrame(
            [json.loads(text) for text in frame.pop("params")], index=frame.index
        ).add_prefix("params_")
        for name in _TIMES:
            frame[name] = pd.to_datetime(frame[name].astype("float64"), unit="s", utc=True)
        for name in ("parent", "best_epoch", "parameters", "peak_bytes"):
            frame[name] = frame[name].astype("Int64")
        return pd.concat([frame.drop(columns=["search", "number", "detail"]), points], axis=1)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """A row an epoch of each fold of each training (repeat 0: the first): the metric on
        training and validation rows, and the minimised loss on both.
        """
        frame = self._read(all_curves)
        lists = {name: frame[name].map(json.loads) for name in _LISTS}
        epochs = lists["validation"].map(lambda values: range(1, len(values) + 1))
        frame = frame.assign(**lists, epoch=epochs)
        frame = frame.explode(["epoch", *_LISTS], ignore_index=True)
        frame = frame.astype({"epoch": "int64"} | dict.fromkeys(_LISTS, "float64"))
        return frame[["trial", "repeat", "fold", "epoch", *_LISTS]]

    @cached_property
    def failures(self) -> pd.DataFrame:
        """A row a failed trial, by its id: study, kind, message, traceback, device, when."""
        frame = self._read(all_trials).set_index("trial")
        frame = frame.loc[frame["state"] == "failed"]
        frame = frame.rename(columns={"failure": "kind", "detail": "traceback"})
        frame["ended"] = pd.to_datetime(frame["ended"].astype("float64"), unit="s", utc=True)
        return frame[["study", "kind", "message", "traceback", "device", "ended"]]

    def _read(self, what: Callable[..., Rows]) -> pd.DataFrame:
        with Store(self.store) as store:
            rows = what(store, study=self.study, task=self.task)
        return pd.DataFrame(list(rows), columns=list(rows.names))
