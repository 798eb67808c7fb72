"""How much memory there is, as the system, a container and `ulimit` say it."""

import subprocess
import sys

import pytest

from hpsearch.core import memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux says")


@pytest.mark.parametrize("option", ["-d", "-v"])
def test_a_limit_of_the_process_is_the_least(option):
    code = "from hpsearch.core import memory as m; print(m.process_memory(), m.machine_memory())"
    found = subprocess.run(
        ["bash", "-c", f'ulimit {option} 4000000 && exec "$0" -c "{code}"', sys.executable],
        capture_output=True,
        text=True,
        check=True,
    )
    of_process, of_machine = map(int, found.stdout.split())
    assert of_process == min(of_machine, 4_000_000 * 1024)
    assert of_machine == memory.machine_memory()  # a limit of one process, not of the machine


@pytest.mark.parametrize(
    ("line", "file", "text", "wanted"),
    [
        ("0::/a/b", "a/memory.max", "4096\n", 4096),
        ("0::/a/b", "memory.max", "8192\n", 8192),
        ("5:cpu,memory:/a", "memory/a/memory.limit_in_bytes", "16384\n", 16384),
        ("0::/a/b", "a/b/memory.max", "max\n", None),
        ("3:cpuset:/a", "a/memory.max", "4096\n", None),  # of another controller
    ],
)
def test_a_container_s_limit_counts_also_above_its_own_group(
    tmp_path, monkeypatch, line, file, text, wanted
):
    groups = tmp_path / "groups"
    (groups / file).parent.mkdir(parents=True)
    (groups / file).write_text(text)
    own = tmp_path / "own"
    own.write_text(line + "\n")
    monkeypatch.setattr(memory, "_CGROUPS", groups)
    monkeypatch.setattr(memory, "_OWN_GROUPS", own)
    found = memory.machine_memory.__wrapped__()
    assert found == wanted if wanted else found > 2**20
