"""A store's trials in the formats of other tools, a file a format. See README.md."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.core.errors import HpsearchError
from hpsearch.core.outputs import OutputKind, files_in, sqlite_mark

if TYPE_CHECKING:
    from hpsearch.results.frames import StoreFrames

Writer = Callable[["StoreFrames", Path], None]
"""Writes all trials of some results to a path that does not exist yet."""


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """An export format.

    Args:
        module: the file in this folder with its `write_export`.
        default_path: what is written where no path is named.
        kind: what is written, so that only an earlier export is replaced.
        view_command: the command that shows the export, with {} for its path.
        packages: import names of packages that it needs beside those of hpsearch.
        extra: the extra of hpsearch that installs these packages.
    """

    module: str
    default_path: str
    kind: OutputKind
    view_command: str = ""
    packages: tuple[str, ...] = ()
    extra: str = ""

    def writer(self) -> Writer:
        """Import the function that writes it. Raises HpsearchError where a package is missing."""
        for package in self.packages:
            try:
                import_module(package)
            except ModuleNotFoundError as error:
                raise HpsearchError(
                    f"this export needs {error.name}, which is not installed: "
                    f"pip install 'hpsearch[{self.extra}]'"
                ) from error
        writer: Writer = import_module(f"hpsearch.export.{self.module}").write_export
        return writer


def _folder_kind(pattern: str, noun: str) -> OutputKind:
    """A folder all of whose files have paths that match."""

    def is_earlier(folder: Path) -> bool:
        found = files_in(folder)
        return bool(found) and all(re.fullmatch(pattern, path) for path in found or ())

    return OutputKind(noun, is_earlier, is_folder=True)


def _is_exported_database(file: Path) -> bool:
    return sqlite_mark(file) == EXPORT_MARK


EXPORT_MARK = b"hpex"  # the SQLite application id of exported databases
_DATABASE = OutputKind("a database that hpsearch exported", _is_exported_database)

FORMATS: Mapping[str, ExportFormat] = {
    "csv": ExportFormat(
        "csv",
        "hpsearch-csv",
        _folder_kind(r"(trials|curves|failures)\.csv", "an export as CSV"),
    ),
    "parquet": ExportFormat(
        "parquet",
        "hpsearch-parquet",
        _folder_kind(r"(trials|curves|failures)\.parquet", "an export as Parquet"),
        "",
        ("pyarrow",),
        "parquet",
    ),
    "optuna": ExportFormat(
        "optuna", "hpsearch-optuna.db", _DATABASE, "optuna-dashboard sqlite:///{}"
    ),
    "tensorboard": ExportFormat(
        "tensorboard",
        "hpsearch-tensorboard",
        _folder_kind(r"(.*/)?events\.out\.tfevents\.0\.hpsearch", "an export for TensorBoard"),
        "tensorboard --logdir {}",
        ("tensorboard",),
        "tensorboard",
    ),
    "mlflow": ExportFormat(
        "mlflow",
        "hpsearch-mlflow.db",
        _DATABASE,
        "mlflow ui --backend-store-uri sqlite:///{}",
        ("mlflow", "sqlalchemy", "alembic"),
        "mlflow",
    ),
}
