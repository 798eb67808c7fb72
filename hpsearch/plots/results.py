"""`Results`: a store as frames, with a method for each figure."""

from typing import TYPE_CHECKING, Literal

from hpsearch.results.frames import StoreFrames

if TYPE_CHECKING:  # the frames need no plotting library
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Results(StoreFrames):
    """A store's trials, repeats, curves and failures as pandas frames, and figures of them.

    Each frame is read at first use and cached; a new `Results` reads again. Searches that `--fresh`
    put aside are left out. Figures are matplotlib's, drawn into `ax` where one is given.

    Args:
        store: its path or URL; None: $HPSEARCH_STORE, else .hpsearch/store.db.
        study, task, evaluator: only searches of this study, task, or evaluator (by its label).

    Raises StoreError where there is no store, or it holds nothing of that name.
    """

    def plot_anytime(
        self, *, against: Literal["epochs", "hours"] = "epochs", ax: "Axes | None" = None
    ) -> "Figure":
        """The best value so far, a line a search, against epochs trained or hours of running.

        Pauses, in which nothing trained, are left out.
        """
        from hpsearch.plots import progression

        return progression.draw_best_so_far(self, against=against, ax=ax)

    def plot_timeline(self, *, ax: "Axes | None" = None) -> "Figure":
        """What each device trained when, repeats too, and the share of time that it was busy."""
        from hpsearch.plots import progression

        return progression.draw_timeline(self, ax=ax)

    def plot_curves(self, *trials: int, loss: bool = False, metric: str | None = None) -> "Figure":
        """Training and validation curves, a panel a trial; without trials, the best four.

        Args:
            loss: draw the minimised loss instead of the metric.
            metric: draw this metric, which was recorded beside the task's.
        """
        from hpsearch.plots import curves

        return curves.draw_curve_panels(self, trials, loss=loss, metric=metric)

    def compare(
        self,
        *trials: int,
        loss: bool = False,
        metric: str | None = None,
        training: bool = False,
        smooth: float = 0.9,
        skip: int | None = None,
    ) -> "Figure":
        """The curves of trials over each other, raw and smoothed side by side.

        Args:
            trials: their ids.
            loss: draw the minimised loss instead of the metric.
            metric: draw this metric, which was recorded beside the task's.
            training: draw the curves on training rows too.
            smooth: weight of earlier epochs in the exponential moving average; 0: no smoothing.
            skip: epochs to leave out before smoothing; None: ten, or a tenth of short curves.
        """
        from hpsearch.plots import curves
        from hpsearch.results import overlay

        drawn = overlay.overlay_curves(
            self, trials, loss=loss, metric=metric, smooth=smooth, skip=skip
        )
        return curves.draw_overlay(drawn, training=training)

    def plot_slices(self) -> "Figure":
        """Value against each parameter, a panel a parameter."""
        from hpsearch.plots import hyperparameters

        return hyperparameters.draw_slices(self)

    def plot_parallel(self, *, ax: "Axes | None" = None) -> "Figure":
        """Parallel coordinates: each trial is a line over its parameters to its value."""
        from hpsearch.plots import parallel

        return parallel.draw_parallel(self, ax=ax)

    def plot_importance(self, *, ax: "Axes | None" = None) -> "Figure":
        """How much each parameter decides whether a trial is among the best, by PED-ANOVA."""
        from hpsearch.plots import hyperparameters

        return hyperparameters.draw_importance(self, ax=ax)

    def plot_pareto(self, *, ax: "Axes | None" = None) -> "Figure":
        """Value against number of weights, and the Pareto front."""
        from hpsearch.plots import hyperparameters

        return hyperparameters.draw_pareto(self, ax=ax)
