"""Estimators of scikit-learn that were trained as baselines: how they are kept, and predict again.

They are saved by skops, without pickle, and need no study to predict.
"""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.core.arrays import Array, Inputs
from hpsearch.core.errors import HpsearchError, UntrustedError, first_line
from hpsearch.core.files import read_regular_file
from hpsearch.core.task import Task
from hpsearch.models.own_models import OwnModel
from hpsearch.training.sklearn_models import dump_estimator, join_inputs, predict_as_network

# Beside the types that skops trusts itself: the trees of boosting, which are arrays of numbers.
HARMLESS = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)
_LARGEST = 2_000_000_000  # bytes


@dataclass(frozen=True, slots=True)
class EstimatorOutput:
    """What an estimator is to predict, as the index of a folder has it.

    Args:
        kind: of the task.
        outputs: numbers that a row's prediction has.
        link: "sigmoid", "softmax" or "linear".
        from_logits: whether classes are predicted as logits.
    """

    kind: str
    outputs: int
    link: str
    from_logits: bool

    @property
    def classifies(self) -> bool:
        return self.kind != "regression"

    @classmethod
    def of_task(cls, task: Task) -> "EstimatorOutput":
        """That of a task whose kind is known."""
        return cls(str(task.kind), int(task.outputs), task.link, task.from_logits)


@dataclass(frozen=True, slots=True, eq=False)
class EstimatorModel:
    """A fitted estimator: it predicts, and can be saved, as a Keras model can.

    Args:
        estimator: scikit-learn's, fitted.
    """

    estimator: Any
    output: EstimatorOutput

    def predict(self, x: Inputs, *, batch_size: int = 32, verbose: int = 0) -> Array:
        """Predictions for preprocessed rows, as Keras models have them.

        Args:
            batch_size, verbose: have no effect.
        """
        return predict_as_network(self.estimator, join_inputs(x), self.output)

    def predict_on_batch(self, x: Inputs) -> Array:
        """The same, of some of the rows."""
        return self.predict(x)

    def save(self, path: Path) -> None:
        """Write the estimator to a `.skops` file."""
        path.write_bytes(dump_estimator(self.estimator))

    @property
    def types_to_trust(self) -> set[str]:
        """The types in it that must be trusted by name to load it."""
        return _unknown_types(dump_estimator(self.estimator))


def take_estimator(model: OwnModel) -> EstimatorModel:
    """The estimator that the training function of baselines saved.

    Raises HpsearchError where it saved none.
    """
    state = model.state
    if not isinstance(state, dict) or "estimator" not in state:
        raise HpsearchError("this baseline kept no estimator; name another one")
    saved = state["estimator"].tobytes()
    # This process has made these bytes just now, and the function has loaded them already.
    return EstimatorModel(_load(saved, _unknown_types(saved)), EstimatorOutput.of_task(model.task))


def load_estimator(path: Path, output: EstimatorOutput, trusted: Iterable[str]) -> EstimatorModel:
    """An estimator that `EstimatorModel.save` wrote.

    Args:
        trusted: names of types to trust beside those that skops and this package trust.

    Raises HpsearchError where it is damaged, UntrustedError where it holds other types.
    """
    try:
        saved = read_regular_file(path, _LARGEST)  # read once: the bytes loaded are those checked
        unknown = sorted(_unknown_types(saved) - set(trusted))
        if not unknown:
            return EstimatorModel(_load(saved, trusted), output)
    except Exception as error:  # a damaged or foreign file
        raise HpsearchError(f"{path} cannot be read: {first_line(error)}") from error
    raise UntrustedError(
        f"{path} holds the types {', '.join(unknown)}, which could run any code when loaded; if "
        f"you know where it comes from: {' '.join(f'--trust {shlex.quote(n)}' for n in unknown)}"
    )


def _unknown_types(saved: bytes) -> set[str]:
    from skops import io

    return set(io.get_untrusted_types(data=saved)) - set(HARMLESS)


def _load(saved: bytes, trusted: Iterable[str]) -> Any:
    from skops import io

    known = set(io.get_untrusted_types(data=saved)) & {*HARMLESS, *trusted}
    return io.loads(saved, trusted=sorted(known))
