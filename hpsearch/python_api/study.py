"""A study, with all that can be done with it from Python."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.runs.study import StudyDefinition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpsearch.plots.results import Results
    from hpsearch.python_api.diagnoses import Diagnoses
    from hpsearch.python_api.plan_report import PlanReport
    from hpsearch.python_api.ranking import Ranking
    from hpsearch.python_api.refitted import Refitted
    from hpsearch.python_api.run_report import RunReport
    from hpsearch.runs.display import Display
    from hpsearch.store import Url

# The imports below are inside functions, so that `import hpsearch` stays cheap.


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Study(StudyDefinition):
    __doc__ = StudyDefinition.__doc__

    def run(
        self,
        *,
        trials: int | None = None,
        epochs: int | None = None,
        seed: int | None = None,
        searcher: str | None = None,
        evaluator: str | None = None,
        until_luck: bool = False,
        hours: float | None = None,
        total_epochs: int | None = None,
        repeats: int = 0,
        finalists: int = 3,
        devices: str = "auto",
        per_device: int | str = 1,
        inline: bool = False,
        timeout: float | None = None,
        recycle: int = 200,
        ray: str | None = None,
        gpus_per_worker: float | None = None,
        checkpoints: str | Path | None = None,
        checkpoint_every: str | int = "5m",
        keep: int = 3,
        baselines: str | None = None,
        log: "str | Sequence[str]" = (),
        backend: str | None = None,
        engine: str = "auto",
        together: int | str = "auto",
        fresh: bool = False,
        store: "str | Path | Url | None" = None,
        display: "Display | str | None" = "auto",
    ) -> "RunReport":
        """Run the search, or continue it: the next run goes on where the last one stopped.

        It is the command `hpsearch run`, with its options, defaults and journal: either goes on
        where the other stopped. Ctrl-C or the stop button stops the running trials at the end of
        their epoch, with a checkpoint, and the result comes back; a second one stops at once, by
        KeyboardInterrupt.

        A study that a file binds to `study` is loaded by each worker from the file. One that was
        made in a notebook or by a function goes to the workers as it is, with the variables that it
        uses; it needs a name, and the same cells go on with its search in a fresh kernel.

        Args:
            trials, epochs, seed, searcher, evaluator: instead of the study's own, as text:
                searcher="random:trials=50,epochs=20".
            until_luck: end where what is left to find is less than the standard error over folds;
                for the searcher auto.
            hours, total_epochs: what this run may take.
            repeats, finalists: train the best few this many more times, with fresh seeds.
            devices: "auto", "cpu", "cpu:2" for two workers, or GPU numbers such as "0,1".
            per_device: workers on each device, or "auto".
            inline: train in this process, as a debugger needs it.
            timeout: seconds after which a trial fails.
            recycle: trials after which a worker is replaced.
            ray, gpus_per_worker: train on a Ray cluster; the study needs a file.
            checkpoints: a folder, or a URL such as s3://bucket/folder.
            checkpoint_every: epochs, such as 10, or minutes, such as "5m".
            keep: of how many of the best trials the checkpoints stay.
            baselines: "off", "quick" or "full": how plain models are trained beside the search;
                None: $HPSEARCH_BASELINES, else "quick".
            log: where trials are logged live: "mlflow:URI", "tensorboard:FOLDER", "wandb:PROJECT".
            backend, engine, together: how to train, as `hpsearch run --help` has it.
            fresh: start the search over.
            store: its file or URL; None: $HPSEARCH_STORE, else .hpsearch/store.db.
            display: "auto" (by where it runs), "notebook", "terminal", None, or a Display.

        Raises HpsearchError, in one line, where the command would print one.
        """
        given = dict(locals())
        from hpsearch.python_api import calls, parsing

        options = parsing.parse_call(Study.run, given)
        return calls.run(self, options, parsing.list_given(Study.run, given), store, display)

    def plan(
        self,
        *,
        trials: int | None = None,
        epochs: int | None = None,
        seed: int | None = None,
        searcher: str | None = None,
        evaluator: str | None = None,
        until_luck: bool = False,
        hours: float | None = None,
        total_epochs: int | None = None,
        store: "str | Path | Url | None" = None,
    ) -> "PlanReport":
        """What a run will cost: brackets, rungs, trials and epochs, and the time where it is known.

        The arguments are those of `run`; the result shows itself, and has `cost`, `seconds` (with
        one worker; None before any trial was timed) and `fits` (the share that the budget allows).
        """
        given = dict(locals())
        from hpsearch.python_api import calls, parsing

        return calls.plan(self, parsing.parse_call(Study.plan, given), store)

    def rank(
        self,
        *,
        metric: str | None = None,
        top: int = 20,
        tags: "Sequence[str]" = (),
        studies: "Sequence[str]" = (),
        searchers: "Sequence[str]" = (),
        store: "str | Path | Url | None" = None,
    ) -> "Ranking":
        """All trials that compare with the study's, best first, as `run` shows them at its end.

        Args:
            metric: rank by this metric, recorded beside the task's own.
            top: how many rows are shown.
            tags: rank only trials that have all of these, themselves or by their study.
            studies: rank only trials of these studies.
            searchers: rank only trials of these searchers, such as "hyperband".
            store: as for `run`.

        Raises HpsearchError where no trial is complete yet.
        """
        given = dict(locals())
        from hpsearch.python_api import calls, parsing

        return calls.rank(self, parsing.parse_call(Study.rank, given), store)

    def refit(
        self,
        *,
        trial: int | None = None,
        one_se: bool = False,
        ensemble: int | None = None,
        baseline: str | None = None,
        seeds: int = 3,
        scale: str = "epochs",
        sealed: bool = False,
        output: str | Path | None = None,
        force: bool = False,
        epochs: int | None = None,
        seed: int | None = None,
        searcher: str | None = None,
        evaluator: str | None = None,
        backend: str | None = None,
        engine: str = "auto",
        store: "str | Path | Url | None" = None,
    ) -> "Refitted":
        """Train the best point on all rows but the test's, keep the models, and test them once.

        It is the command `hpsearch refit`, with its options and defaults; it trains in this
        process. The result has `predict(x)`, `models`, `card` and `folder`.

        Args:
            trial, one_se, ensemble: another choice than the best trial.
            baseline: the plain model of this name, trained beside the search; "" for the best one.
            seeds: how many models of each chosen trial.
            scale: "epochs" or "steps": what stays the same though there are more rows.
            sealed: keep the test rows sealed.
            output: the folder for the models; force: replace another model there.
            epochs, seed, searcher, evaluator: which search, as for `run`.
            backend, engine, store: as for `run`.

        Raises HpsearchError, in one line, where the command would print one.
        """
        given = dict(locals())
        from hpsearch.python_api import calls, parsing

        return calls.refit(self, parsing.parse_call(Study.refit, given), store)

    def doctor(self, *, store: "str | Path | Url | None" = None) -> "Diagnoses":
        """What is wrong with the searches of this study, on which figures, and what to do.

        It is the command `hpsearch doctor`. The result shows the gravest three findings of each
        search, and is a list of diagnoses, whose `findings` are all of them. store: as for `run`.

        Raises HpsearchError where the store has no search of it.
        """
        from hpsearch.python_api import calls

        return calls.diagnose_study(self, store)

    @property
    def results(self) -> "Results":
        """The study's trials and curves as frames, and figures of them, from the default store.

        `hpsearch.Results(store, study=name)` reads another store. Raises StoreError where there is
        none.
        """
        from hpsearch.python_api import calls

        return calls.results(self)
