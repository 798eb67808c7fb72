"""The events that TensorBoard reads, for tests of what was exported to it."""

from contextlib import suppress


def read_events(path):
    """By TensorBoard's reader that does without TensorFlow."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.tensorflow_stub.errors import OutOfRangeError
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

    reader = PyRecordReader_New(str(path))
    with suppress(OutOfRangeError):
        while True:
            reader.GetNext()
            yield Event.FromString(reader.record())
