"""Build the members of batches, and describe the rows that they are trained on."""

from dataclasses import dataclass, field, replace

from hpsearch.core.data import Data
from hpsearch.core.task import Task
from hpsearch.training import metrics
from hpsearch.training.adapting import LayerAdapter
from hpsearch.training.base import Fit, ModelSpec, Split
from hpsearch.training.batched.member import BatchMember
from hpsearch.training.batched.scalars import copy_loss
from hpsearch.training.batched.template import RecentDict
from hpsearch.training.garbage import paused_garbage_collection
from hpsearch.training.point_parameters import batch_size
from hpsearch.training.rows import SplitRows, make_model_spec, prepare_rows

_MOST_SPECS = 1024  # of splits: where preprocessing is searched, each point may have its own


@dataclass(eq=False)
class MemberBuilder:
    """Builds members, and keeps what is known of the rows of their splits.

    Args:
        task: what is learned.
    """

    task: Task
    _specs: RecentDict[ModelSpec] = field(default_factory=lambda: RecentDict(_MOST_SPECS))
    # While models are built, the rows of the split of the last one that asked for them.
    _last_rows: tuple[Split, SplitRows] | None = None

    def build(self, index: int, fit: Fit, data: Data) -> BatchMember:
        """Build a fit's model, and read its checkpoint. index: of the fit among those asked for."""
        spec = self._describe_fit(fit, data)
        with paused_garbage_collection():
            return BatchMember.build(index, fit, spec, self.task.recorded)

    def _describe_fit(self, fit: Fit, data: Data) -> ModelSpec:
        spec = self.describe_rows(fit, data)
        return replace(
            spec,
            loss=copy_loss(spec.loss),
            metrics=metrics.make_metrics(self.task),
            rows=len(fit.split.train),
            batch_size=batch_size(fit.params),
            epochs=fit.most_epochs or fit.epochs,
            adapter=LayerAdapter(
                lambda: self._prepare(fit.split, data).x,
                lambda: self._prepare(fit.split, data).transformer,
            ),
        )

    def describe_rows(self, fit: Fit, data: Data) -> ModelSpec:
        """A spec with what is known of a split's rows, the same for all fits on them."""
        # Without preprocessing, rows have one shape in all splits.
        key = fit.split if self.task.prepares_each_split else None
        if key not in self._specs:
            rows = prepare_rows(self.task, data, fit.split)
            spec = make_model_spec(self.task, rows, data.y, [], fit)
            self._specs[key] = replace(spec, adapter=None)  # which holds the rows
        return self._specs[key]

    def _prepare(self, split: Split, data: Data) -> SplitRows:
        """The prepared rows of a split, for layers that are adapted to them; the last are kept."""
        if self._last_rows is None or self._last_rows[0] is not split:
            self._last_rows = split, prepare_rows(self.task, data, split)
        return self._last_rows[1]

    def forget_rows(self) -> None:
        """Free the rows that layers were adapted to, once all models are built."""
        self._last_rows = None
