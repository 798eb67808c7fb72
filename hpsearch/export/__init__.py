"""A store's trials in the formats of other tools; one file a format. See README.md."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.errors import HpsearchError

if TYPE_CHECKING:
    from hpsearch.report.results import Results

Writer = Callable[["Results", Path], None]
"""Writes everything of some results to a path that is not there yet."""


@dataclass(frozen=True, slots=True)
class Format:
    """module: has the `write`. where: what is written if nothing else is named. look: the command
    that shows it, with {} for the path. needs: packages beside those of the toolkit, by their
    import names. extra: brings these.
    """

    module: str
    where: str
    look: str = ""
    needs: tuple[str, ...] = ()
    extra: str = ""

    def writer(self) -> Writer:
        """Import what writes it. Raises HpsearchError where the extra is not installed."""
        for package in self.needs:
            try:
                import_module(package)
            except ModuleNotFoundError as error:
                raise HpsearchError(
                    f"this export needs {error.name}, which is not installed: "
                    f"pip install 'hpsearch[{self.extra}]'"
                ) from error
        writer: Writer = import_module(f"hpsearch.export.{self.module}").write
        return writer


FORMATS: Mapping[str, Format] = {
    "csv": Format("csv", "hpsearch-csv"),
    "parquet": Format("parquet", "hpsearch-parquet", "", ("pyarrow",), "parquet"),
    "optuna": Format("optuna", "hpsearch-optuna.db", "optuna-dashboard sqlite:///{}"),
    "tensorboard": Format(
        "tensorboard",
        "hpsearch-tensorboard",
        "tensorboard --logdir {}",
        ("tensorboard",),
        "tensorboard",
    ),
    "mlflow": Format(
        "mlflow",
        "hpsearch-mlflow.db",
        "mlflow ui --backend-store-uri sqlite:///{}",
        ("mlflow", "sqlalchemy", "alembic"),
        "mlflow",
    ),
}
