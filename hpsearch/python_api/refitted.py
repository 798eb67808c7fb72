"""A refitted model, as Python gets it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpsearch.models.kept import KeptModels


class Refitted:
    """Models trained on all rows but the test's, with their preprocessing and their card.

    Args:
        folder: of their files, which `hpsearch predict` uses too.
        models: the loaded models.
        card: the model card, as plain JSON: points, validation value, test result; None where it
            was not read.
        opened_now: whether the test rows were opened for it now.
    """

    def __init__(
        self,
        folder: Path,
        models: "KeptModels",
        card: dict[str, Any] | None = None,
        *,
        opened_now: bool = False,
    ) -> None:
        self.folder, self.card, self.opened_now = folder, card, opened_now
        self._models = models

    @property
    def models(self) -> tuple[Any, ...]:
        """The Keras models, one a seed and point; they take preprocessed rows."""
        return self._models.models

    def predict(self, x: Any) -> Any:
        """Predict rows by all models together; they are preprocessed as in training.

        Args:
            x: an array of shape (rows, *shape of a row); a dict of arrays by input where the task
                has several; a pandas frame with the table's columns; or a `Source`, or any other
                rows that `Data(x=)` takes, which are read some at a time.

        Returns probabilities of shape (rows, classes), or (rows, 1) of one class; or numbers of
        shape (rows, 1) in the target's own unit. A dict by output where there are several. Raises
        HpsearchError where the rows do not fit.
        """
        from hpsearch.models.prediction import predict_rows

        return predict_rows(self._models, x)

    def _lines(self) -> list[str]:
        from hpsearch.selection.card import render_card

        shown = [] if self.card is None else render_card(self.card).splitlines()
        return [*shown, f"saved in {self.folder}"]

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_markdown_(self) -> str:
        return "\n".join(self._lines()[:-1]) + f"\n\nsaved in `{self.folder}`"


def refit_study(
    study: Any, file: Path | None, place: Any, options: dict[str, Any], *, pooled: bool
) -> Refitted:
    """Refit a study, whose file this is, into a store.

    Args:
        options: those of the command `refit`, by name.
        pooled: as `hpsearch.selection.refit.refit` has it.
    """
    from dataclasses import fields

    from hpsearch.selection import refit as refits
    from hpsearch.selection.choice import ModelChoice
    from hpsearch.training import backend as backends
    from hpsearch.training import engines

    chosen = backends.choose(options["backend"])
    engines.check_engine(options["engine"], chosen)
    choice = ModelChoice(**{field.name: options[field.name] for field in fields(ModelChoice)})
    with refits.open_to_refit(place) as (store, models):
        done = refits.refit(
            study,
            file,
            store,
            choice,
            models,
            options["output"],
            pooled=pooled,
            force=options["force"],
            engine=options["engine"],
            backend=chosen,
        )
    return Refitted(done.folder, done.models, done.card, opened_now=done.opened_now)
