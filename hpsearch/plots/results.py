"""`Results`: a store as frames, and its figures."""

from typing import TYPE_CHECKING, Literal

from hpsearch.results.frames import StoreFrames

if TYPE_CHECKING:  # frames alone need no plotting library
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Results(StoreFrames):
    """What a store holds, of all studies, or of one study, task or evaluator (by its label).

    Each frame is read when it is first asked for, and then kept: a new `Results` sees what came
    since. Searches that `--fresh` put aside are left out. store: else $HPSEARCH_STORE, else
    .hpsearch/store.db. Each figure is matplotlib's, drawn into `ax` where one is given. Raises
    StoreError where there is no store, or nothing of that name in it.
    """

    def plot_anytime(
        self, *, against: Literal["epochs", "hours"] = "epochs", ax: "Axes | None" = None
    ) -> "Figure":
        """The best value so far, a line a search, against epochs trained or hours of
        running: pauses, in which nothing trained, are left out.
        """
        from hpsearch.plots import progression

        return progression.draw_best_so_far(self, against=against, ax=ax)

    def plot_timeline(self, *, ax: "Axes | None" = None) -> "Figure":
        """What each device trained when, repeats too, and the share of the time that it did."""
        from hpsearch.plots import progression

        return progression.draw_timeline(self, ax=ax)

    def plot_curves(self, *trials: int, loss: bool = False) -> "Figure":
        """Training against validation by epoch, a panel a trial; the best four if none is named."""
        from hpsearch.plots import curves

        return curves.draw_curve_panels(self, trials, loss=loss)

    def compare(
        self,
        *trials: int,
        loss: bool = False,
        training: bool = False,
        smooth: float = 0.9,
        skip: int | None = None,
    ) -> "Figure":
        """The curves of trials over each other, raw and smoothed side by side.

        loss: the minimised loss, not the metric. training: also on the training rows. smooth: the
        weight of what came before, in the exponential average; 0: raw alone. skip: epochs that are
        left out before smoothing; None: the first ten, or a tenth where curves are short.
        """
        from hpsearch.plots import curves
        from hpsearch.results import overlay

        drawn = overlay.overlay_curves(self, trials, loss=loss, smooth=smooth, skip=skip)
        return curves.draw_overlay(drawn, training=training)

    def plot_slices(self) -> "Figure":
        """Value against each parameter, a panel a parameter."""
        from hpsearch.plots import hyperparameters

        return hyperparameters.draw_slices(self)

    def plot_parallel(self, *, ax: "Axes | None" = None) -> "Figure":
        """Each trial a line over its parameters, to its value."""
        from hpsearch.plots import parallel

        return parallel.draw_parallel(self, ax=ax)

    def plot_importance(self, *, ax: "Axes | None" = None) -> "Figure":
        """How much each parameter decides whether a trial is among the best, by PED-ANOVA."""
        from hpsearch.plots import hyperparameters

        return hyperparameters.draw_importance(self, ax=ax)

    def plot_pareto(self, *, ax: "Axes | None" = None) -> "Figure":
        """Value against the number of weights, and the front of those that none beats in both."""
        from hpsearch.plots import hyperparameters

        return hyperparameters.draw_pareto(self, ax=ax)
