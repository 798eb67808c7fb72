"""Weights & Biases: a project, a group a study, a run a trial."""

import hashlib
import os
from typing import Any

import wandb

from hpsearch.core.trial import Outcome
from hpsearch.loggers.base import (
    LoggedSearch,
    LoggedTrial,
    TrialLogError,
    begun_notes,
    mean_curves,
    points_of,
    trial_notes,
    values_at_best,
)

_EPOCH = "epoch"


def make_tool(project: str) -> "WandbTool":
    """The tool of a project, `NAME` or `ENTITY/NAME`.

    Raises TrialLogError where no key is known for the server, which is else asked for on a
    terminal.
    """
    entity, slash, name = project.rpartition("/")
    if not name or "/" in entity or (slash and not entity):
        raise TrialLogError(f"wandb: needs PROJECT or ENTITY/PROJECT, got {project!r}")
    mode = os.environ.get("WANDB_MODE", "online")
    if mode == "online" and not wandb.api.api_key:
        raise TrialLogError(
            "wandb knows no key: call `wandb login`, set WANDB_API_KEY, or log without the server "
            "by WANDB_MODE=offline"
        )
    return WandbTool(entity or None, name, mode)


class WandbTool:
    """Logs trials as runs. A trial's run has an id of its own, by which it goes on."""

    def __init__(self, entity: str | None, project: str, mode: str) -> None:
        self._entity, self._project, self._mode = entity, project, mode
        self._runs: dict[int, Any] = {}  # of trials that have not ended
        self._known: dict[int, dict[str, set[int]]] = {}

    def open(self, search: LoggedSearch) -> None:
        self._search = search
        # Without what it watches beside: the machine, the source, and what is printed.
        self._settings = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            save_code=False,
            x_disable_stats=True,
            x_disable_meta=True,
        )

    def _id_of(self, trial: int) -> str:
        return hashlib.sha256(f"{self._search.key} {trial}".encode()).hexdigest()[:16]

    def has_ended(self, trial: int) -> bool:
        # Offline nobody knows, and the server would be asked for each: what an earlier run ended is
        # taken as logged.
        return True

    def begin_trial(self, trial: LoggedTrial) -> None:
        if trial.id in self._runs:
            return
        run = wandb.init(
            entity=self._entity,
            project=self._project,
            mode=self._mode,  # type: ignore[arg-type]  # wandb refuses another one itself
            group=self._search.name,
            name=trial.name,
            id=self._id_of(trial.id),
            resume="allow",
            config={**trial.params, "hpsearch": begun_notes(self._search, trial)},
            reinit="create_new",
            settings=self._settings,
        )
        run.define_metric(_EPOCH, hidden=True)
        run.define_metric("*", step_metric=_EPOCH)
        # What the server has of an earlier run, as far as it tells: its last epoch.
        last = run.summary.get(_EPOCH) if run.resumed else None
        self._runs[trial.id] = run
        self._known[trial.id] = {"": set(range(1, int(last) + 1))} if last else {}

    def log_epoch(self, trial: int, name: str, epoch: int, value: float, at: float) -> None:
        known = self._known[trial]
        if epoch not in known.setdefault(name, set(known.get("", ()))):
            known[name].add(epoch)
            self._runs[trial].log({_EPOCH: epoch, name: value})

    def end_trial(self, trial: LoggedTrial, outcome: Outcome, at: float) -> None:
        self.begin_trial(trial)
        run, known = self._runs.pop(trial.id), self._known.pop(trial.id)
        for epoch, values in points_of(mean_curves(outcome, self._search.metric), known):
            run.log({_EPOCH: epoch, **values})
        for name, value in values_at_best(outcome, self._search.metric).items():
            run.summary[name] = value
        for name, note in trial_notes(trial, outcome).items():
            run.summary[f"hpsearch/{name}"] = note
        run.finish(exit_code=1 if outcome.failure else 0)

    def close(self, at: float) -> None:
        for run in self._runs.values():
            run.finish(exit_code=255)
