"""Standard output and error, as the user set them up, that never fail whoever writes to them."""

import io
import os
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from hpsearch.core.streams import TolerantStream, make_streams_tolerant

PRINT = (
    "import sys; from hpsearch.core.streams import make_streams_tolerant; make_streams_tolerant(); "
)


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        with suppress(OSError):
            os.close(descriptor)


@pytest.fixture
def put_in_place(monkeypatch, pipe):
    """Make a stream into the pipe this process's standard output."""

    def put(**options):
        stream = io.TextIOWrapper(io.FileIO(pipe[1], "wb", closefd=False), **options)
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "__stdout__", stream)
        return stream

    return put


def test_what_is_unbuffered_stays_so(put_in_place, pipe):
    put_in_place(encoding="utf-8", write_through=True)
    make_streams_tolerant()
    print("no end", end="")  # and no flush
    os.set_blocking(pipe[0], False)
    assert os.read(pipe[0], 100) == b"no end"
    assert sys.stdout.write_through


def test_an_unbuffered_stream_that_does_not_block_gets_all(put_in_place, pipe):
    put_in_place(encoding="utf-8", write_through=True)
    os.set_blocking(pipe[1], False)
    found = bytearray()

    def read():
        while part := os.read(pipe[0], 2**16):
            found.extend(part)

    make_streams_tolerant()
    reader = threading.Thread(target=read)
    reader.start()
    print("x" * 10**6, end="")
    os.close(pipe[1])
    reader.join(30)
    assert len(found) == 10**6


@pytest.mark.parametrize(
    ("encoding", "errors", "written"),
    [
        ("ascii", "strict", b"a? ???"),
        ("ascii", "surrogateescape", b"a\xff ?\xfe?"),
        ("utf-8", "surrogateescape", b"a\xff \xc2\xb1\xfe\xc2\xb1"),
        ("ascii", "backslashreplace", rb"a\udcff \xb1\udcfe\xb1"),
    ],
)
def test_what_an_encoding_lacks_is_written_as_the_user_says(
    put_in_place, pipe, encoding, errors, written
):
    put_in_place(encoding=encoding, errors=errors)
    make_streams_tolerant()
    print("a\udcff \xb1\udcfe\xb1", end="", flush=True)
    assert os.read(pipe[0], 100) == written


def test_consoles_of_windows_are_left_as_they_are(put_in_place, monkeypatch):
    stream = put_in_place(encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        replaced, now = make_streams_tolerant(), sys.stdout
    assert (replaced, now) == ([], stream)


def test_unbuffered_python_writes_at_once():
    script = PRINT + "sys.stdout.write('now'); sys.stdin.read()"
    command = [sys.executable, "-u", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as run:
        timer = threading.Timer(30, run.kill)
        timer.start()
        assert run.stdout.read(3) == b"now"
        timer.cancel()
        run.stdin.close()


def test_nobody_who_reads_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    stream = TolerantStream(writing)
    assert stream.write(b"lost") == 4
    assert stream.error is None
    os.close(writing)


def test_who_closes_standard_output_closes_it_for_nobody_else():
    code = f"{PRINT} print('a'); sys.stdout.close(); print('b'); sys.stderr.close(); 1 / 0"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "a\nb\n")
    assert "ZeroDivisionError" in done.stderr
