"""The text that a study's file had when this process imported it; workers read what it has now."""

import hashlib
import os
import sys
from pathlib import Path
from types import CodeType, FrameType, ModuleType

# By module and file: the code that ran, and the digest of its text. By the file too, because runpy
# runs a script as __main__ inside another __main__.
_texts: dict[tuple[str, str], tuple[CodeType, bytes]] = {}


def note_files_being_imported() -> None:
    """Note the texts of the files that run now as modules. Called where a study is made."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name, code = str(frame.f_globals.get("__name__")), frame.f_code
        is_import = code.co_name == "<module>" and code.co_filename.endswith(".py")
        if is_import and not name.startswith("hpsearch."):
            key = name, os.path.realpath(code.co_filename)
            noted = _texts.get(key)
            # The first study of a file counts: later ones may come long after its text was read.
            if noted is None or noted[0] is not code:
                digest = _digest(code.co_filename)
                if digest is not None:
                    _texts[key] = code, digest
        frame = frame.f_back


def was_edited(module: ModuleType) -> bool:
    """Whether a module's file has another text now than when a study was made in it."""
    file = os.path.realpath(module.__file__ or "")
    noted = _texts.get((module.__name__, file))
    return noted is not None and noted[1] != _digest(file)


def _digest(file: str) -> bytes | None:
    try:
        return hashlib.sha256(Path(file).read_bytes()).digest()
    except OSError:
        return None
