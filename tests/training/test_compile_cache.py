"""The folder of compiled programs is the user's alone, and holds none that is torn."""

import os
import stat
import zlib
from pathlib import Path

import pytest

from hpsearch.training import backend, compile_cache

WHOLE = zlib.compress(b"machine code" * 50)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder hpsearch/jax that will be used."""
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE"):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hpsearch" / "jax"


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def used() -> str | None:
    return os.environ.get("JAX_COMPILATION_CACHE_DIR")


def test_it_is_private_whatever_the_umask(cache):
    before = os.umask(0)
    try:
        compile_cache.use()
    finally:
        os.umask(before)
    assert used() == str(cache)
    assert mode(cache) == mode(cache.parent) == 0o700


def test_one_that_others_could_read_is_made_private(cache):
    cache.mkdir(parents=True)
    cache.chmod(0o755)
    cache.parent.chmod(0o755)
    compile_cache.use()
    assert used() == str(cache)
    assert mode(cache) == mode(cache.parent) == 0o700


@pytest.mark.parametrize("writable", ["hpsearch", "jax"])
@pytest.mark.parametrize("bits", [0o777, 0o720, 0o702])
def test_one_that_others_can_write_is_not_used(cache, caplog, writable, bits):
    cache.mkdir(parents=True, mode=0o700)
    cache.parent.chmod(0o700)
    (cache if writable == "jax" else cache.parent).chmod(bits)
    compile_cache.use()
    assert used() is None
    assert os.environ["JAX_ENABLE_COMPILATION_CACHE"] == "false"
    (record,) = caplog.records
    assert f"(mode {bits:04o}); remove it with all it holds" in record.getMessage()
    compile_cache.use()  # as a worker does, which inherits the environment
    assert len(caplog.records) == 1


def test_one_of_another_user_is_not_used(cache, caplog, monkeypatch):
    cache.mkdir(parents=True)
    monkeypatch.setattr(os, "getuid", lambda: cache.stat().st_uid + 1)
    compile_cache.use()
    assert used() is None
    assert "belongs to another user" in caplog.text


def test_without_a_place_for_it_training_goes_on(cache, caplog):
    cache.parent.parent.mkdir()
    cache.parent.write_text("a file")
    compile_cache.use()
    assert used() is None
    assert "cannot be used" in caplog.text


def test_a_folder_that_the_user_names_is_the_users_affair(cache, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
    compile_cache.use()
    assert used() == "elsewhere"
    assert not cache.exists()


def test_torn_programs_are_deleted_also_those_that_come_later(cache):
    cache.mkdir(parents=True)
    for number, content in enumerate([WHOLE, WHOLE[:-9], b"", WHOLE]):
        (cache / f"{number}-cache").write_bytes(content)
    compile_cache.tidy(cache)
    assert names(cache) == ["0-cache", "3-cache"]
    (cache / "4-cache").write_bytes(WHOLE[:20])
    compile_cache.tidy(cache)
    assert names(cache) == ["0-cache", "3-cache"]


def test_each_program_is_looked_at_once_and_all_of_them_again_after_a_day(cache, monkeypatch):
    cache.mkdir(parents=True)
    for number in range(3):
        (cache / f"{number}-cache").write_bytes(WHOLE)
        os.utime(cache / f"{number}-cache", (number, number))
    looked = []
    monkeypatch.setattr(compile_cache, "_is_torn", lambda content, _: looked.append(content))
    compile_cache.tidy(cache)
    compile_cache.tidy(cache)
    assert len(looked) == 4  # the last one again: another may be of the same moment
    now = compile_cache.time.time
    monkeypatch.setattr(compile_cache.time, "time", lambda: now() + 25 * 3600)
    compile_cache.tidy(cache)
    assert len(looked) == 7


def test_where_there_is_no_time_the_next_start_goes_on(cache):
    cache.mkdir(parents=True)
    (cache / "torn-cache").write_bytes(WHOLE[:20])
    compile_cache.tidy(cache, seconds=-1)
    assert names(cache) == ["torn-cache"]
    compile_cache.tidy(cache)
    assert names(cache) == []


def test_the_oldest_of_too_many_go(cache, monkeypatch):
    cache.mkdir(parents=True)
    monkeypatch.setattr(compile_cache, "_MAX_PROGRAMS", 2)
    for number in range(4):
        (cache / f"{number}-cache").write_bytes(WHOLE)
        os.utime(cache / f"{number}-cache", (number, number))
    compile_cache.tidy(cache)
    assert names(cache) == ["2-cache", "3-cache"]


def test_what_only_another_environment_can_read_is_left_alone(cache, monkeypatch):
    cache.mkdir(parents=True)
    (cache / "0-cache").write_bytes(b"\x28\xb5\x2f\xfd and what zstd makes of a program")
    monkeypatch.setattr(compile_cache, "_zstd_decompressor", lambda: None)
    compile_cache.tidy(cache)
    assert names(cache) == ["0-cache"]
    monkeypatch.setattr(compile_cache, "_zstd_decompressor", lambda: zlib.decompress)  # it refuses
    (cache / "checked").unlink()
    compile_cache.tidy(cache)
    assert names(cache) == []


def test_only_programs_are_deleted_and_what_is_noted_of_them(cache, monkeypatch):
    cache.mkdir(parents=True)
    monkeypatch.setattr(compile_cache, "_MAX_PROGRAMS", 2)
    for number, content in enumerate([WHOLE, WHOLE, WHOLE[:20]]):
        (cache / f"{number}-cache").write_bytes(content)
        (cache / f"{number}-atime").write_bytes(bytes(8))
        os.utime(cache / f"{number}-cache", (number, number))
    (cache / ".lockfile").touch()
    compile_cache.tidy(cache)
    left = {file.name for file in cache.iterdir()}
    assert left == {".lockfile", "1-cache", "1-atime", "checked"}


def names(cache: Path) -> list[str]:
    return sorted(file.name for file in cache.iterdir() if file.name.endswith("-cache"))


@pytest.mark.slow
def test_what_jax_cannot_read_is_what_we_delete():
    """JAX chooses among the same libraries in the same order."""
    backend.choose("jax")
    from jax._src import compilation_cache

    written = compilation_cache.compress_executable(b"machine code")
    decompress = compile_cache._zstd_decompressor()
    assert written.startswith(compile_cache._ZSTD_BEGINS) == (decompress is not None)
    assert not compile_cache._is_torn(written, decompress)
    assert compile_cache._is_torn(written[:-3], decompress)
