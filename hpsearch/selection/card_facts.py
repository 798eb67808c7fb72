"""What a model card says of a model and its data, as plain JSON."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from hpsearch.core.arrays import inputs_by_name
from hpsearch.core.data import Data
from hpsearch.core.reading.lazy_rows import LazyRows
from hpsearch.core.rules import brief
from hpsearch.core.seeds import canonical_json
from hpsearch.core.space import Params
from hpsearch.core.task import Task
from hpsearch.selection.choice import ModelChoice, ModelMember, Scale
from hpsearch.selection.predictions import EnsembleWeights
from hpsearch.training.preprocessing import describe_transformer


def describe_source(data: Data) -> dict[str, str]:
    """The card's words on what rows are read from; nothing where they are in memory."""
    lazy = [part for part in inputs_by_name(data.x).values() if isinstance(part, LazyRows)]
    sources = {id(part.reader): part.reader.source for part in lazy}.values()
    named = []
    for source in sources:
        files = len(source.files)
        of_files = f" of {files:,} file{'s' if files > 1 else ''}" if files else ""
        named.append(type(source).__name__ + of_files)
    return {"rows_from": ", ".join(named)} if named else {}


def describe_weights(task: Task, data: Data) -> dict[str, str]:
    """The card's words on weights of rows; nothing where all weigh 1."""
    if data.given_streams is not None:
        weighed = data.given_streams.first.weights is not None
        return {"weights": "what batches give third, in the training loss"} if weighed else {}
    named = [] if task.class_weight is None else [f"class_weight={brief(task.class_weight)}"]
    if data.sample_weight is not None:
        named.append("sample_weight" + (" of each step" if data.sample_weight.ndim == 2 else ""))
    if not named:
        return {}
    where = "the training loss and the metrics" if task.weighted_metrics else "the training loss"
    return {"weights": f"{' times '.join(named)}, in {where}"}


def describe_model(
    task: Task,
    members: Sequence[ModelMember],
    weights: EnsembleWeights,
    data: Data,
    choice: ModelChoice,
    backend: str,
    source: str,
) -> dict[str, Any]:
    """The final model's part of the card, as plain JSON. source: the study file's text."""
    rows = count_all(data)
    return {
        "choice": choice.label,
        "members": [
            {
                "trial": member.trial,
                "params": dict(member.params),
                "weight": float(weight),
                "parameters": member.n_weights,
                "value": member.value,
                "se": member.se,
                "best_epoch": member.best_epoch,
                "best_epoch_rows": None if rows is None else member.rows,
                "epochs": count_epochs(member, rows, choice.scale),
                "most_epochs": member.most_epochs,
                **_describe_preprocessing(task, member.params),
            }
            for member, weight in ((members[position], weights[position]) for position in weights)
        ],
        "scale": choice.scale,
        "seeds": choice.seeds,
        "backend": backend,
        "source": hashlib.sha256(source.encode()).hexdigest()[:16],
    }


def _describe_preprocessing(task: Task, params: Params) -> dict[str, str]:
    """The transformers that a point chooses, by option; nothing where these are not searched."""
    made = task.with_preprocessing(params)
    return {
        option: describe_transformer(getattr(made, option))
        for option in task.searched_preprocessing
    }


def count_all(data: Data) -> int | None:
    """The rows that are trained on; None for streams, which are trained on as in the search."""
    return None if data.given_streams is not None else data.rows


def count_epochs(member: ModelMember, rows: int | None, scale: Scale) -> int:
    """How long a member is trained on all rows. rows: by `count_all`."""
    return member.best_epoch if rows is None else member.epochs(rows, scale)


def identify_model(card: Mapping[str, Any]) -> dict[str, Any]:
    """What identifies a model, to find its earlier test result."""
    names = ("trial", "params", "epochs", "weight", "most_epochs")
    members = [
        {name: member[name] for name in names if name in member} for member in card["members"]
    ]
    return {"members": members, **{name: card[name] for name in ("seeds", "backend", "source")}}


def name_folder(model: Mapping[str, Any]) -> str:
    """A name for the model's folder that no other model of the store has."""
    trials = "-".join(str(member["trial"]) for member in model["members"][:3])
    digest = hashlib.sha256(canonical_json(identify_model(model)).encode()).hexdigest()
    return f"{'ensemble' if len(model['members']) > 1 else 'trial'}-{trials}-{digest[:4]}"
