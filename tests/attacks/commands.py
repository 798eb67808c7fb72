"""Run a command in a throw-away folder, and judge how it ended."""

import hashlib
import os
import re
import resource
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tests.attacks.forked import Forked

Process = subprocess.Popen[bytes] | Forked
ROOT = Path(__file__).parent.parent.parent
LIMIT = 90.0  # seconds; what takes longer hangs

# Root may write everywhere; without these two capabilities it is refused as others are.
_SETPRIV = shutil.which("setpriv")
NOT_ROOT: list[str] | None = (
    []
    if os.geteuid() != 0
    else [_SETPRIV, "--bounding-set=-dac_override,-dac_read_search"]
    if _SETPRIV
    else None
)

# Commands get only these variables of ours, so that a case means the same on every machine.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR")


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    code: its exit code, negative for a signal; None: it was killed at the time limit.
    changed: files that had other content, or were gone, afterwards. made: files that were new.
    """

    command: str
    code: int | None
    out: str
    err: str
    changed: tuple[str, ...]
    made: tuple[str, ...]
    seconds: float


def run(
    arguments: Sequence[str],
    folder: Path,
    *,
    env: Mapping[str, str | None] | None = None,
    stdin: bytes | None = None,
    limit: float = LIMIT,
    module: str = "hpsearch",
    unprivileged: bool = False,
    gigabytes: float = 16.0,
    stdout: int = subprocess.PIPE,
    fresh: bool = False,
) -> Ended:
    """Run `python -m hpsearch ARGUMENTS` in the folder; what lies in it, but Python's own caches, is
    compared before and after.

    env: variables to add, None: to take away. unprivileged: not as root, for whom no file is
    read-only. gigabytes: of address space, at most. fresh: by an interpreter of its own, which reads
    all variables when it starts, and not as a fork.
    """
    before = snapshot(folder)
    variables = {name: os.environ[name] for name in _KEPT if name in os.environ}
    variables |= {"PYTHONPATH": str(ROOT), "HOME": str(folder.parent), "TF_CPP_MIN_LOG_LEVEL": "2"}
    variables["HPSEARCH_BASELINES"] = (
        "off"  # whose training is slow, and attacked by tests of its own
    )
    variables |= {name: value for name, value in (env or {}).items() if value is not None}
    for name in [name for name, value in (env or {}).items() if value is None]:
        variables.pop(name, None)
    start = time.monotonic()
    most = int(gigabytes * 2**30)
    process: Process
    if fresh or unprivileged or stdin is not None or stdout != subprocess.PIPE:
        process = subprocess.Popen(
            [*((unprivileged and NOT_ROOT) or ()), sys.executable, "-m", module, *arguments],
            cwd=folder,
            env=variables,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        resource.prlimit(process.pid, resource.RLIMIT_AS, (most, most))
    else:
        process = Forked(module, arguments, folder, variables, most)
    code: int | None
    try:
        out, err, code = _wait(process, stdin, limit)
    finally:
        end_group(process)
    seconds = time.monotonic() - start
    after = snapshot(folder)
    shown = " ".join(f"{k}={shlex.quote(v or '')}" for k, v in (env or {}).items())
    return Ended(
        f"{shown} hpsearch {' '.join(shlex.quote(short(a)) for a in arguments)}".strip(),
        code,
        (out or b"").decode(errors="replace"),
        err.decode(errors="replace"),
        tuple(sorted(path for path in before if after.get(path) != before[path])),
        tuple(sorted(set(after) - set(before))),
        seconds,
    )


def _wait(process: Process, stdin: bytes | None, limit: float) -> tuple[bytes, bytes, int | None]:
    """What a command printed, and its exit code; None after so many seconds in which it had a core.

    On a machine that has much else to do, a command that waits for a core does not hang.
    """
    start, waited = time.monotonic(), 0.0
    while True:
        left = start + limit + waited - time.monotonic()
        try:
            out, err = process.communicate(stdin, timeout=max(left, 0.1))
            return out, err, process.returncode
        except subprocess.TimeoutExpired:
            stdin = None  # which is sent already
            longer = _seconds_without_core(process.pid)
            if longer < waited + 1:
                return b"", b"", None
            waited = longer


def _seconds_without_core(pid: int) -> float:
    """How long the threads of a process could run and got no core: the longest of them."""
    waits = [0.0]
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):  # a thread that has ended meanwhile
            waits.append(int(file.read_text().split()[1]) / 1e9)
    return max(waits)


def end_group(process: Process) -> None:
    """Kill a process and all it started, and reap it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def short(text: str, length: int = 200) -> str:
    """A text, or its beginning and its length."""
    return text if len(text) <= length else f"{text[:length]}...({len(text)} characters)"


def digest(path: str) -> str:
    """Of a file's bytes and size; holes are not read, because a file may have a terabyte of them."""
    size, found = os.stat(path).st_size, hashlib.sha256()
    found.update(str(size).encode())
    with open(path, "rb") as file:
        end = 0
        while end < size:
            try:
                begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:  # only a hole is left
                break
            end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            found.update(f"{begin} ".encode())
            file.seek(begin)
            while begin < end and (piece := file.read(min(2**20, end - begin))):
                found.update(piece)
                begin += len(piece)
    return found.hexdigest()


def snapshot(folder: Path) -> dict[str, str]:
    """What lies in a folder: by path the kind, and of regular files the content's digest."""
    found = {}
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in folders + files:
            path = os.path.join(parent, name)
            kind = os.lstat(path).st_mode
            if stat.S_ISREG(kind):
                what = digest(path)
            elif stat.S_ISLNK(kind):
                what = f"link to {os.readlink(path)}"
            else:
                what = f"kind {stat.S_IFMT(kind):o}"
            found[os.path.relpath(path, folder)] = what
    return found


def judge(
    ended: Ended,
    expect: str,
    *,
    writes: Sequence[str] = (),
    check: Callable[[Ended], str] | None = None,
) -> tuple[str, str]:
    """The verdict on a command, and what was seen.

    expect: "clear" (refused in one line, exit code 2, nothing written), "works" (exit code 0),
        "either", "fails" (exit code 1: every trial failed, each recorded as such), or "stops" (as by
        Ctrl-C)
    writes: patterns of the files that it may make or change.
    check: for what works: why it did not, or nothing.
    """
    seen = f"{ended.command}\n  -> {_shown(ended)}"

    def beyond(paths: Sequence[str]) -> list[str]:
        return [path for path in paths if not any(fnmatch(path, pattern) for pattern in writes)]

    if ended.code is None:
        return "hang", seen
    if "Traceback (most recent call last)" in ended.err or ended.code < 0:
        return "traceback", seen
    if ended.code not in (0, 1, 2, 130):
        return "traceback", seen
    if destroyed := beyond(ended.changed):
        return "destroyed", f"{seen}\n  -> changed: {', '.join(destroyed)}"
    if ended.code == 2:
        if expect in ("works", "fails", "stops"):
            return "wrongly refused", seen
        if rule := unclear(ended.err):
            return "unclear", f"{rule}: {seen}"
        if left := beyond(ended.made):
            return "unclear", f"left {', '.join(left)}: {seen}"
        return "clear", seen
    if expect == "clear":
        return "wrongly accepted", seen
    if ended.code != {"fails": 1, "stops": 130}.get(expect, 0):
        return "unclear", seen
    wrong = check(ended) if check else ""
    return ("wrongly accepted", f"{wrong}: {seen}") if wrong else ("works", seen)


def unclear(err: str) -> str:
    """Why what a refused command printed is not one clear line, or nothing."""
    lines = [line for line in err.splitlines() if line.strip()]
    if len(lines) != 1:
        return f"{len(lines)} lines"
    if not lines[0].startswith("hpsearch: error: "):
        return "no error line"
    if len(lines[0]) > 2100:
        return f"a line of {len(lines[0])} characters"
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", lines[0]):
        return "control characters"
    return ""


def tells_no_password(folder: Path, ended: Ended) -> str:
    """Why a command that got the password "hush" in a URL did wrong, or nothing."""
    return "it shows the password" if "hush" in ended.err + ended.out else ""


def _shown(ended: Ended) -> str:
    end = "killed after" if ended.code is None else f"exit {ended.code} after"
    lines = ended.err.strip().splitlines()
    last = lines[-1] if lines else ended.out.strip()[-200:]
    return f"{end} {ended.seconds:.1f} s; {short(last, 400)}"


@contextmanager
def throw_away() -> Iterator[Path]:
    """An empty folder that anybody may write to, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="attack-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o755)
        folder = Path(name) / "here"
        folder.mkdir(mode=0o777)
        os.chmod(folder, 0o777)
        try:
            yield folder
        finally:
            _writable(Path(name))


def _writable(folder: Path) -> None:
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                os.chmod(path, 0o700)
