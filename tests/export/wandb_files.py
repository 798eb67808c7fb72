"""What Weights & Biases wrote while it was offline, for tests of what was logged to it."""

import json
import struct
from pathlib import Path

_BLOCK, _HEADER = 32768, struct.Struct("<IHB")  # checksum, length, kind; as logs of LevelDB


def read_records(path):
    """The records of a .wandb file. A record may be in several pieces, in blocks of 32 kB."""
    from wandb.proto import wandb_internal_pb2

    data, at, piece = Path(path).read_bytes(), 7, b""
    while at + _HEADER.size <= len(data):
        if _BLOCK - at % _BLOCK < _HEADER.size:  # a block's end is filled up
            at += _BLOCK - at % _BLOCK
            continue
        _, length, kind = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        piece += data[at : at + length]
        at += length
        if kind in (1, 4):  # whole, or the last piece
            yield wandb_internal_pb2.Record.FromString(piece)
            piece = b""


def read_history(path):
    """What was logged, in order: a dict by name each."""
    return [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in row}
        for row in (r.history.item for r in read_records(path) if r.HasField("history"))
    ]


def read_config(path):
    """The run's settings, by name."""
    found = {}
    for record in read_records(path):
        if record.HasField("run"):
            for item in record.run.config.update:
                found[item.key] = json.loads(item.value_json)
    return found


def read_summary(path):
    """The values that the run ends with, by name."""
    found = {}
    for record in read_records(path):
        if record.HasField("summary"):
            for item in record.summary.update:
                found[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    return found


def has_ended(path):
    """Whether the run's end is in its file."""
    return any(record.HasField("exit") for record in read_records(path))
