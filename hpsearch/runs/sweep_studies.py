"""Which studies may run together: each once, under a name of its own, with a weight."""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hpsearch.core.errors import DeviceError, StudyError


@dataclass(frozen=True, slots=True)
class SweepStudy:
    """A study that shares devices with others.

    Args:
        file: the study file; None: the study has none.
        label: its name until it is loaded.
        weight: of its share of the devices.
        sent: the study by `dump_study`, where it has no file; and source: its text.
    """

    file: Path | None
    label: str
    weight: float = 1.0
    sent: bytes | None = None
    source: str | None = None

    @property
    def place(self) -> str:
        """Where it was written, for messages."""
        return str(self.file or f"the study {self.label}")


def check_weights(weights: Sequence[float], studies: int) -> None:
    """Raise DeviceError where these cannot be the weights of so many studies."""
    if len(weights) != studies:
        raise DeviceError(
            f"--weights has {len(weights)} number{'s' if len(weights) != 1 else ''} for "
            f"{studies} studies; give one for each"
        )
    if wrong := [weight for weight in weights if not 0 < weight < float("inf")]:
        raise DeviceError(f"--weights needs numbers > 0, got {wrong[0]:g}")


def make_sweep_studies(files: Sequence[Path], weights: Sequence[float] | None) -> list[SweepStudy]:
    """The studies of these files. Raises DeviceError for wrong weights; None: all the same."""
    shares = [1.0] * len(files) if weights is None else weights
    check_weights(shares, len(files))
    stems = Counter(file.stem for file in files)
    labels = [
        file.stem if stems[file.stem] == 1 else f"{file.resolve().parent.name}/{file.stem}"
        for file in files
    ]
    return list(map(SweepStudy, files, labels, shares))


def check_studies(studies: Sequence[SweepStudy]) -> None:
    """Raise StudyError where these studies cannot run together."""
    files: set[Path] = set()
    labels: dict[str, SweepStudy] = {}
    for study in studies:
        if study.file is not None:
            if study.file.resolve() in files:
                raise StudyError(f"{study.file} is given twice; name each study once")
            files.add(study.file.resolve())
    for study in studies:
        name = study.label if study.file is None else study.file.stem
        if name in labels and not (_may_have_name(study) or _may_have_name(labels[name])):
            refuse_same_name(name, labels[name], study)
        labels[name] = study


def _may_have_name(study: SweepStudy) -> bool:
    """Whether a study's file may name it otherwise than itself; once it is loaded, that is known."""
    if study.file is None:
        return False
    with suppress(OSError, UnicodeError):
        return re.search(r"\bname\s*=", study.file.read_text()) is not None
    return False


def refuse_same_name(name: str, first: SweepStudy, second: SweepStudy) -> None:
    """Raise StudyError for two studies of one name."""
    raise StudyError(
        f"{first.place} and {second.place} are both named {name}; name one of them otherwise, by "
        "Study(name=...) or by its file"
    )
