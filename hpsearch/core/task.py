"""A task: data, loss, metrics, weights, and preprocessing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from hpsearch.core import scores, task_kinds
from hpsearch.core.arrays import Array, Targets, targets_by_name
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.frames.columns import name_coded_column
from hpsearch.core.frames.rows import FrameCode
from hpsearch.core.metric import Direction, Metric, parse_metric, parse_metrics
from hpsearch.core.option_text import check_counts, check_switches, settings_text
from hpsearch.core.row_weights import (
    check_class_weight,
    check_sample_weights,
    compute_row_weights,
    compute_test_weights,
)
from hpsearch.core.rules import brief, why_no_name
from hpsearch.core.searched_preprocessing import (
    PREPROCESS,
    PREPROCESS_Y,
    choose_params,
    is_searched,
    make_transformer,
    parameter_names,
)
from hpsearch.core.space import Params
from hpsearch.core.task_kinds import Kind
from hpsearch.core.task_options import (
    check_options_by_output,
    check_outputs,
    check_preprocess,
    check_preprocess_y,
    make_target_steps,
)


@dataclass(frozen=True, eq=False)
class Task:
    """What is learned.

    Args:
        name: its name in rankings.
        data: the Data, or a function without arguments that loads it when it is first needed.
        loss: a Keras loss by name or object, or a function of your own; for a model with several
            outputs a dict of them by output. `loss`, `y` and the model name the same outputs.
        metric: trials are ranked by it: accuracy, mae, mse, rmse, roc_auc, loss; the name of any
            other Keras metric; the name of a scikit-learn scorer, as f1_macro or r2; or a function
            of your own, `(y_true, y_pred) -> number`, which gets arrays of shape (rows,) where the
            model has one output, else (rows, outputs), and probabilities where it predicts classes.
            Of several outputs: "loss" for all together, or of one, as "steering/mae".
        direction: "min" or "max"; needed for a function, and for a Keras metric not named here.
        preprocess: a scikit-learn transformer, or a layer of Keras's that prepares rows, as
            `keras.layers.TextVectorization(...)`, or a dict with one for each input. It is fitted on
            the training rows of each split only. It gets frames where `Data(x=)` got frames. Or a
            function of parameters of the space that returns these: `def preprocess(components):
            return PCA(components)`. `build` gets such a parameter only where it names it.
        preprocess_y: what changes the targets of a regression before models learn them, fitted on
            the training rows of each split only: a scikit-learn transformer that has an inverse, a
            `Difference`, or a list of these, applied in its order; a dict of these by output where
            there are several. Or a function of parameters of the space that returns one of these,
            or None for targets as they are. Losses are then in the changed unit; predictions are
            changed back, and every metric is computed from them in the targets' own unit.
        outputs: units of the model's last layer; by default as y needs them. A dict by output
            where there are several; so is `kind`.
        kind: "binary", "multiclass", "multilabel" or "regression". It decides outputs, activation,
            whether folds are stratified, and which metrics are possible; see the table in
            `hpsearch.core.task_kinds`. None where the loss decides it, as cross-entropies (focal
            ones too) and errors do. It is needed with a loss of your own, a hinge or KL divergence,
            and for classes that are learned by mse.
        metrics: more metrics to record for each epoch and fold: names, functions, or pairs of
            either with "min" or "max". Of several outputs also a dict of lists by output.
        class_weight: how much the rows of each class weigh in the training loss: a dict, or
            "balanced" for weights that make all classes weigh the same.
        weighted_metrics: weigh rows in the metrics too, by class_weight and `Data.sample_weight`.
        loss_weights: how much the loss of each of several outputs weighs in their sum: a dict by
            output; 1 where it says nothing.

    Raises DataError where these contradict each other; `load` does so for targets.
    """

    name: str
    data: Data | Callable[[], Data]
    loss: Any
    metric: Any = "loss"
    direction: Direction | None = None
    preprocess: Any = None
    outputs: Any = None
    kind: Any = None
    metrics: Sequence[Any] = ()
    class_weight: Any = None
    weighted_metrics: bool = False
    loss_weights: Mapping[str, float] | None = None
    preprocess_y: Any = None

    def __post_init__(self) -> None:
        if why := why_no_name(self.name):
            raise DataError(f"Task needs name= {why}, got {brief(self.name)}")
        if not isinstance(self.data, Data) and not callable(self.data):
            raise DataError(
                f"Task needs data= a Data, or a function that loads one, got {brief(self.data)}"
            )
        check_switches(self, weighted_metrics=self.weighted_metrics)
        check_class_weight(self.class_weight)
        check_preprocess(self.preprocess)
        check_preprocess_y(self.preprocess_y, self._output_names)
        if isinstance(self.loss, Mapping):
            check_outputs(self.loss)
            by_output = {"kind": self.kind, "outputs": self.outputs}
            check_options_by_output(self.loss, by_output | {"loss_weights": self.loss_weights})
            if self.class_weight is not None:
                raise DataError("class_weight is for one output; use Data(sample_weight=)")
        elif not isinstance(self.loss, str) and not callable(self.loss):
            raise DataError(
                f"Task needs loss= a Keras loss by name or object, or a function, or a dict of these "
                f"by output, got {brief(self.loss)}"
            )
        elif self.loss_weights is not None:
            raise DataError("loss_weights= is for several outputs: give loss= a dict by output")
        else:
            check_counts(self, outputs=self.outputs)
        for name, part in self.parts.items():
            if getattr(part.loss, "reduction", "sum") in (None, "none"):
                raise DataError(
                    f"loss{f' of {name}' if name else ''} has reduction="
                    f"{part.loss.reduction!r}, and training needs one number; leave reduction out"
                )
        for metric in self.recorded:
            if metric.output or not self.has_several_outputs:
                part = self.parts[metric.output]
                task_kinds.possible_kinds(part.loss, metric.own_name, part.kind)
        self._check_kind_of_changed()

    def _check_kind_of_changed(self) -> None:
        """Raise DataError where `preprocess_y` would change classes."""
        if self.preprocess_y is None or self.has_several_outputs:  # these have their own tasks
            return
        if self._kinds != ("regression",):
            raise DataError(
                f"preprocess_y= is for targets that are numbers, and loss="
                f"{settings_text(self.loss)} learns classes; leave it out"
            )

    def _check_unit_of_metrics(self) -> None:
        """Raise DataError for a metric that is in the unit of changed targets."""
        for metric in self.recorded:
            part = self.parts[metric.output] if metric.output else self
            if metric.own_name == "loss" and part.preprocess_y is not None:
                raise DataError(
                    f"metric {metric.name!r} would be in the unit of preprocess_y=, which differs "
                    "between folds and points; name one that is computed in the targets' own unit, "
                    "as 'mae' or 'rmse' (curves of the loss are recorded in any case)"
                )

    @property
    def prepares_each_split(self) -> bool:
        """Whether something is fitted on each split's training rows, so that its rows are its own."""
        return self.preprocess is not None or self.preprocess_y is not None

    @property
    def searched_preprocessing(self) -> dict[str, Any]:
        """The functions of parameters among `preprocess` and `preprocess_y`, by these names."""
        given = {PREPROCESS: self.preprocess, PREPROCESS_Y: self.preprocess_y}
        return {option: value for option, value in given.items() if is_searched(value)}

    @property
    def preprocessing_parameters(self) -> tuple[str, ...]:
        """The parameters of the space that preprocessing takes."""
        functions = self.searched_preprocessing.values()
        return tuple(dict.fromkeys(name for make in functions for name in parameter_names(make)))

    def choose_preprocessing(self, params: Params) -> dict[str, Any]:
        """Those of a point's parameters that decide how its rows are preprocessed."""
        functions = self.searched_preprocessing.values()
        return {k: v for make in functions for k, v in choose_params(make, params).items()}

    def with_preprocessing(self, params: Params) -> Self:
        """The same task with the transformers of a point, where functions make them.

        Raises BuildError where one lacks a parameter, or returns no transformer.
        """
        made: dict[str, Any] = {}
        for option, make in self.searched_preprocessing.items():
            if option == PREPROCESS:
                made[option] = make_transformer(make, params)
                continue
            made[option] = make_target_steps(make, params, self._output_names)
        return replace(self, **made) if made else self

    def load(self) -> Data:
        """The data. Raises DataError where its targets or weights do not fit the task."""
        data = self.data if isinstance(self.data, Data) else self.data()
        if not isinstance(data, Data):
            raise DataError(f"the data function of task {self.name} must return Data, got {data!r}")
        if data.given_streams is not None:
            self._check_streamed(data)
        self._check_unit_of_metrics()
        self.check_targets(data.y)
        self._check_labels(data)
        if not is_searched(self.preprocess):  # else only a point tells
            self.check_frames(data)
        check_sample_weights(data, has_steps=self._has_steps(data.y))
        weights = self.row_weights(data)
        if self.weighted_metrics:
            missing = "Task(class_weight=) or Data(sample_weight=)" if weights is None else ""
            if data.x_test is not None and data.sample_weight is not None:
                missing = missing or "Data(sample_weight_test=)" * (data.sample_weight_test is None)
            if missing:
                raise DataError(f"weighted_metrics=True needs weights: {missing}")
        return data

    def frames_to_prepare(self, data: Data) -> dict[str, FrameCode]:
        """The codes of the inputs that a transformer gets as frames, by input."""
        given = self.preprocess
        if not isinstance(given, Mapping):
            return {} if given is None else dict(data.frames)
        return {name: code for name, code in data.frames.items() if given.get(name) is not None}

    def check_frames(self, data: Data) -> None:
        """Raise DataError where text or categories of a frame would reach the model."""
        for name in data.frames.keys() - self.frames_to_prepare(data).keys():
            if not (code := data.frames[name]).holds_only_numbers:
                raise DataError(
                    f"{name if name == 'x' else f'x[{name!r}]'} has the {name_coded_column(code)}, "
                    "which is no number; encode it: Task(..., preprocess=ColumnTransformer([('one', "
                    "OneHotEncoder(handle_unknown='ignore'), COLUMNS)], remainder='passthrough'))"
                )

    def _check_labels(self, data: Data) -> None:
        """Raise DataError where classes have names, and numbers are learned."""
        if data.classes and not self.has_several_outputs and not self.classifies:
            raise DataError(
                f"y names classes, as {brief(data.classes[0])}, and loss={settings_text(self.loss)} "
                "learns numbers; take a cross-entropy, or make y numbers: y.astype(float)"
            )

    def _check_streamed(self, data: Data) -> None:
        """Raise DataError for options that need all rows, and what a batch does not show of them."""
        for option, instead in (
            ("preprocess", "use a layer of the model, or preprocess in the stream"),
            ("preprocess_y", "scale the targets in the stream, or give Data(x=) a Source"),
            ("class_weight", "let batches give weights as their third part"),
            ("weighted_metrics", "leave it out: Keras weighs by what batches give"),
        ):
            if getattr(self, option):
                raise DataError(f"{option}= needs rows, and this task has streams; {instead}")
        targets = targets_by_name(data.y)
        for name, part in self.parts.items():
            if (y := targets.get(name)) is None:
                continue  # `check_targets` refuses it
            by_name = f", by output: {{{name!r}: ...}}" if name else ""
            if len(part._kinds) > 1 and not task_kinds.is_column(y):
                raise DataError(
                    f"a batch does not show whether a row has one class or several labels; say "
                    f"Task(kind='multiclass') or Task(kind='multilabel'){by_name}"
                )
            if part.outputs is None and task_kinds.is_numbered(part.kind_of(y), part.loss, y):
                raise DataError(
                    "a batch does not show how many classes there are; say "
                    f"Task(outputs=) how many{by_name}"
                )

    def _has_steps(self, y: Targets) -> bool:
        """Whether each row has a loss for each of several steps, which may weigh differently."""
        if not isinstance(y, np.ndarray):
            return False
        return self.is_sequence(y) or (y.ndim > 2 and not self.classifies)

    def check_targets(self, y: Targets) -> None:
        """Raise DataError where targets are not of the task's kind, or a metric is not for them."""
        by_name = targets_by_name(y)
        if by_name.keys() != self.parts.keys():
            raise DataError(
                f"y and loss= must name the same outputs, got y of {_outputs_text(by_name)} and "
                f"loss of {_outputs_text(self.parts)}"
            )
        for name, part in self.parts.items():
            of_part = [metric for metric in self.recorded if metric.output == name]
            if self.has_several_outputs:
                of_part.append(part.objective)
            part._check_part(by_name[name], of_part, self.weighted_metrics)

    def _check_part(self, y: Array, metrics: Sequence[Metric], weighted: bool) -> None:
        """`check_targets` of one output."""
        kind = self.kind_of(y)
        for metric in metrics:
            task_kinds.check_targets(kind, self.loss, metric, y, self.outputs)
            if metric.needs_predictions:
                scores.check_computable(metric, kind, y, self.output_units(y), weighted)

    def row_weights(self, data: Data) -> Array | None:
        """The weight of each row in the training loss, shape (rows,); None where all weigh 1.

        Raises DataError where a class has no weight.
        """
        if self.class_weight is None:
            return data.sample_weight
        if self.is_sequence(data.y):
            raise DataError(
                "class_weight is for a class a row, and this task has one a step; use "
                "Data(sample_weight=) of shape (rows, steps)"
            )
        return compute_row_weights(self.class_weight, self.kind_of(data.y), data)

    def metric_weights(self, data: Data) -> Array | None:
        """The weight of each searched row in the metrics, shape (rows,); None where all weigh 1."""
        return self.row_weights(data) if self.weighted_metrics else None

    def test_weights(self, data: Data) -> Array | None:
        """The weight of each test row in the metrics, shape (rows,); None where all weigh 1."""
        if not self.weighted_metrics or self.class_weight is None:
            return data.sample_weight_test if self.weighted_metrics else None
        return compute_test_weights(self.class_weight, self.kind_of(data.y), data)

    @property
    def objective(self) -> Metric:
        """The metric that trials are ranked by."""
        return self.recorded[0]

    @cached_property
    def recorded(self) -> tuple[Metric, ...]:
        """All metrics that are recorded; the first is the one that trials are ranked by."""
        outputs = self.loss if isinstance(self.loss, Mapping) else ()
        ranked = parse_metric(self.metric, self.direction, outputs)
        return ranked, *parse_metrics(self.metrics, ranked, outputs)

    @property
    def has_several_outputs(self) -> bool:
        return isinstance(self.loss, Mapping)

    @cached_property
    def parts(self) -> "dict[str, Task]":
        """The task of each output, by its name; a single output's is the task itself, under ""."""
        if not isinstance(self.loss, Mapping):
            return {"": self}
        one: dict[str, Any] = {"direction": None, "metrics": (), "loss_weights": None}
        return {
            name: replace(
                self,
                loss=loss,
                kind=(self.kind or {}).get(name),
                outputs=(self.outputs or {}).get(name),
                preprocess_y=self._preprocess_y_of(name, loss),
                metric="loss",
                **one,
            )
            for name, loss in self.loss.items()
        }

    @property
    def _output_names(self) -> tuple[str, ...]:
        return tuple(self.loss) if isinstance(self.loss, Mapping) else ("",)

    def _preprocess_y_of(self, output: str, loss: Any) -> Any:
        """What changes the targets of one of several outputs; a function may change all numbers."""
        given = self.preprocess_y
        if not is_searched(given):
            return (given or {}).get(output)
        kinds = task_kinds.possible_kinds(loss, "loss", (self.kind or {}).get(output))
        return given if kinds == ("regression",) else None

    def weigh_losses(self) -> dict[str, float]:
        """How much the loss of each output weighs in their sum."""
        given = self.loss_weights or {}
        return {name: float(given.get(name, 1.0)) for name in self.parts}

    @property
    def measure(self) -> str:
        """The metric's name in rankings. For "loss" it names the loss: only equal ones compare."""
        name = self.objective.name
        if name == "loss":
            settings = self.loss if isinstance(self.loss, str) else settings_text(self.loss)
            weights = f", weights {settings_text(self.loss_weights)}" if self.loss_weights else ""
            name = f"loss ({settings}{weights})"
        return f"{name}, weighted" if self.weighted_metrics else name

    def kind_of(self, y: Any) -> Kind:
        """The kind of a task with one output: by `kind`, by its loss, or else by these targets."""
        return task_kinds.kind_of_targets(self._kinds, y)

    def with_kind_of(self, y: Any) -> Self:
        """The same task, with kind and outputs fixed as these rows have them.

        So a part of the rows does not change them.
        """
        if not self.has_several_outputs:
            return replace(self, kind=self.kind_of(y), outputs=self.output_units(y))
        kinds = {name: part.kind_of(y[name]) for name, part in self.parts.items()}
        return replace(self, kind=kinds, outputs=self.output_units(y))

    def classes(self, data: Data) -> Array | None:
        """The class of each row, shape (rows,), to stratify by.

        None where the task is no classification, or a row has a class for each step or output.
        """
        if self.has_several_outputs or self.is_sequence(data.y):
            return None
        return task_kinds.classes_of_rows(self.kind_of(data.y), np.asarray(data.y))

    def is_sequence(self, y: Any) -> bool:
        """Whether each row of one output's targets has a class for each of several steps."""
        return task_kinds.is_sequence(self.kind_of(y), self.loss, y)

    @property
    def classifies(self) -> bool:
        """Whether it has one output, and predicts classes."""
        return not self.has_several_outputs and self._kinds != ("regression",)

    def output_units(self, y: Any) -> Any:
        """Units of the last layer that suit y and the loss; by output where there are several."""
        if self.has_several_outputs:
            return {name: part.output_units(y[name]) for name, part in self.parts.items()}
        return self.outputs or task_kinds.output_units(self.kind_of(y), y, self.loss)

    @property
    def activation(self) -> Any:
        """The activation of the last layer: "linear" where the loss takes logits, else `link`.

        By output where there are several.
        """
        if self.has_several_outputs:
            return {name: part.activation for name, part in self.parts.items()}
        return "linear" if self.from_logits else self.link

    @property
    def link(self) -> str:
        """The function from logits to predictions of one output: "sigmoid", "softmax", "linear"."""
        return task_kinds.link_function(self._kinds, self.loss)

    @property
    def from_logits(self) -> bool:
        """Whether the loss takes logits instead of probabilities."""
        return task_kinds.takes_logits(self.loss)

    @property
    def _kinds(self) -> tuple[Kind, ...]:
        return task_kinds.possible_kinds(self.loss, self.objective.own_name, self.kind)


def _outputs_text(outputs: Mapping[str, Any]) -> str:
    return ", ".join(outputs) if "" not in outputs else "one array"
