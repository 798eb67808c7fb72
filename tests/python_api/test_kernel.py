"""A study that is defined in a cell of a Jupyter kernel: run, stopped, and continued in a fresh one."""

import queue
import textwrap
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.python_api.journals import read_journal

CELLS = [
    """
    import numpy as np
    import keras
    import hpsearch
    from hpsearch import Data, Float, KFold, Random, Space, Study, Task

    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 4)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("int64")
    units = 6
    """,
    """
    def dense(activation=None):
        return keras.layers.Dense(2 if activation else units, activation=activation or "relu")

    def build(spec, rate):
        model = keras.Sequential([keras.Input(spec.input_shape), dense(), dense(spec.activation)])
        model.compile(keras.optimizers.Adam(rate), spec.loss, metrics=spec.metrics)
        return model
    """,
    """
    study = Study(
        name="cell",
        task=Task("toy", Data(x, y), loss="sparse_categorical_crossentropy", metric="accuracy"),
        space=Space(rate=Float(1e-4, 1e-1, log=True)),
        build=build,
        searcher=Random(trials=6, epochs=40),
        evaluator=KFold(3),
        seed=1,
    )
    """,
]
RUN = """
    result = study.run(devices="cpu:2", engine="fit", checkpoint_every=1)
    print("END", result.end, len(result.ranking))
    result
"""


class Kernel:
    """A Jupyter kernel in this folder, as a notebook uses it."""

    def __init__(self):
        manager = pytest.importorskip("jupyter_client").KernelManager(kernel_name="python3")
        manager.start_kernel()
        self.manager, self.client = manager, manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def run(self, code, *, interrupt_when=None):
        """Run a cell. Returns what it printed, what it showed last, and its error, if any.

        interrupt_when: the kernel is interrupted once this is true.
        """
        request = self.client.execute(textwrap.dedent(code))
        printed, shown, error = "", [], None
        end = time.monotonic() + 300
        while time.monotonic() < end:
            if interrupt_when is not None and interrupt_when():
                self.manager.interrupt_kernel()
                interrupt_when = None
            try:
                message = self.client.get_iopub_msg(timeout=0.1)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                printed += content["text"]
            elif kind in ("display_data", "execute_result", "update_display_data"):
                shown.append((kind, content["data"], content.get("transient", {})))
            elif kind == "error":
                error = f"{content['ename']}: {content['evalue']}"
            elif kind == "status" and content["execution_state"] == "idle":
                return printed, shown, error
        raise TimeoutError(printed)

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def start_kernel(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    kernels = []

    def start():
        kernels.append(Kernel())
        return kernels[-1]

    yield start
    for kernel in kernels:
        kernel.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Jupyter's own, on its event loop and its ports
def test_a_study_of_a_cell_is_stopped_and_continued_in_a_fresh_kernel(start_kernel, monkeypatch):
    first = start_kernel()
    for cell in CELLS:
        assert first.run(cell)[2] is None
    path = Path("store.db").absolute()

    def ended():
        return len(read_journal(path)[1])

    printed, shown, error = first.run(RUN, interrupt_when=lambda: ended() >= 2)
    assert error is None
    assert "END stopped" in printed
    assert 2 <= ended() < 6
    # One output, which changed in place; and the result, as HTML.
    live = [each for each in shown if each[0] != "execute_result"]
    assert [kind for kind, _, _ in live].count("display_data") == 1
    assert len({transient["display_id"] for _, _, transient in live}) == 1
    assert "accuracy" in live[-1][1]["text/html"]
    assert "run the cell again to continue" in shown[-1][1]["text/html"]
    # The kernel lives, and knows its variables.
    assert first.run("print(len(study.rank()) > 0)")[0] == "True\n"
    # Where a script would need its file, the refusal is one line.
    assert "has no file" in first.run("study.run(ray='auto', display=None)")[2]
    first.close()

    second = start_kernel()
    for cell in CELLS:
        second.run(cell)
    printed, _, error = second.run(RUN)
    assert error is None
    assert "END done 6" in printed
    stopped = read_journal(path)

    monkeypatch.setenv("HPSEARCH_STORE", str(Path("whole.db").absolute()))
    third = start_kernel()
    for cell in CELLS:
        third.run(cell)
    assert "END done 6" in third.run(RUN)[0]
    assert read_journal(Path("whole.db")) == stopped
