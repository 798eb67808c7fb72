"""Fitted preprocessing of kept models, saved and loaded by skops, without pickle.

`preprocess.skops` is that of all models; where they are preprocessed in several ways, these are
`preprocess-1.skops` ... What changes each model's predictions back is in `targets-1.skops` ...
"""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hpsearch.core.errors import HpsearchError, UntrustedError, first_line
from hpsearch.core.files import read_regular_file
from hpsearch.models.kept_index import Index, no_model_folder
from hpsearch.models.kept_targets import list_transformers, targets_from_json
from hpsearch.training.fitted_targets import FittedTargets
from hpsearch.training.rows import SplitRows

# Beside the types that skops trusts itself: those that the package has for preprocessing.
HARMLESS = (
    "numpy.dtype",
    "hpsearch.transformers.date_parts.DateParts",
    "hpsearch.transformers.lags.Lags",
    "hpsearch.transformers.per_channel.PerChannel",
    "hpsearch.baselines.inputs.count_tokens",
    # It makes none but Keras's layers of a closed list, of plain values.
    "hpsearch.training.layer_transformer.LayerTransformer",
)
_PREPROCESS, _PREPROCESS_OF = "preprocess.skops", "preprocess-{}.skops"
_TARGETS_OF = "targets-{}.skops"
_LARGEST = 2_000_000_000  # bytes


def types_to_trust(rows: SplitRows) -> tuple[str, ...]:
    """The types in fitted preprocessing that must be trusted by name to load it.

    Args:
        rows: that it was fitted on.
    """
    found: set[str] = set()
    if rows.transformer is not None:
        found.update(unknown_types(_dump(rows.transformer)))
    if rows.own_targets is not None:
        transformers = list_transformers(rows.own_targets.fitted)
        found.update(unknown_types(_dump(transformers, "preprocess_y")))
    return tuple(sorted(found))


def save_transformers(folder: Path, transformers: Sequence[Any]) -> tuple[str, ...]:
    """Write fitted preprocessing; returns the types that must be trusted by name to load it."""
    trust: set[str] = set()
    for number, transformer in enumerate(transformers, 1):
        if transformer is not None:
            saved = _dump(transformer)
            trust.update(unknown_types(saved))
            name = _PREPROCESS if len(transformers) == 1 else _PREPROCESS_OF.format(number)
            (folder / name).write_bytes(saved)
    return tuple(sorted(trust))


def save_targets(folder: Path, targets: Sequence[FittedTargets]) -> set[str]:
    """Write what changes predictions back; returns the types that must be trusted to load it."""
    trust: set[str] = set()
    for number, fitted in enumerate(targets, 1):
        if transformers := list_transformers(fitted):
            saved = _dump(transformers, "preprocess_y")
            trust.update(unknown_types(saved))
            (folder / _TARGETS_OF.format(number)).write_bytes(saved)
    return trust


def unknown_types(saved: bytes) -> tuple[str, ...]:
    from skops import io

    return tuple(sorted(set(io.get_untrusted_types(data=saved)) - set(HARMLESS)))


def _dump(transformer: Any, option: str = "preprocess") -> bytes:
    from skops import io

    try:
        saved: bytes = io.dumps(transformer)
    except Exception as error:  # a transformer of the user's own may raise anything
        raise HpsearchError(
            f"{option}={transformer!r} cannot be saved without pickle ({first_line(error)}); use "
            "scikit-learn's own transformers, or functions of a module"
        ) from error
    return saved


def _load(path: Path, trusted: Iterable[str]) -> Any:
    if not path.exists():
        return None
    from skops import io

    try:
        saved = read_regular_file(path, _LARGEST)  # read once: the bytes loaded are those checked
        unknown = [name for name in unknown_types(saved) if name not in set(trusted)]
        if not unknown:
            return io.loads(saved, trusted=[*HARMLESS, *trusted])
    except Exception as error:  # a damaged or foreign file
        raise HpsearchError(f"{path} cannot be read: {first_line(error)}") from error
    raise UntrustedError(
        f"{path} holds the types {', '.join(unknown)}, which could run any code when loaded; if "
        f"you know where it comes from: {' '.join(f'--trust {shlex.quote(n)}' for n in unknown)}"
    )


def load_transformers(folder: Path, ways: int, trusted: Iterable[str]) -> tuple[Any, ...]:
    """The fitted preprocessing of so many ways; None where there is none.

    Raises HpsearchError where a file is missing or damaged, UntrustedError for other types.
    """
    if ways == 1:
        return (_load(folder / _PREPROCESS, trusted),)
    files = [folder / _PREPROCESS_OF.format(number) for number in range(1, ways + 1)]
    if missing := [file for file in files if not file.exists()]:
        raise HpsearchError(f"{missing[0]} is missing; refit the study again")
    return tuple(_load(file, trusted) for file in files)


def load_targets(folder: Path, index: Index, trusted: Iterable[str]) -> tuple[FittedTargets, ...]:
    """What changes each model's predictions back; empty where nothing does.

    Raises HpsearchError where it contradicts the index, UntrustedError for other types.
    """
    found = []
    try:
        for number, given in enumerate(index.targets or (), 1):
            transformers = _load(folder / _TARGETS_OF.format(number), trusted)
            found.append(targets_from_json(given, transformers, index.shapes, index.outputs))
    except (ValueError, KeyError, TypeError) as error:
        raise no_model_folder(folder, error) from error
    return tuple(found)
