"""What a folder of kept models says of changed targets is refused where it contradicts itself."""

import pytest

from hpsearch import Difference
from hpsearch.models.kept_targets import targets_from_json

LAST = {"channel": 2, "input": "x"}


def test_a_difference_is_read_as_it_was_written():
    found = targets_from_json({"": [LAST]}, None, {"x": (3,)}, [""])
    assert found.steps == {"": (Difference(2, "x"),)}


@pytest.mark.parametrize(
    ("steps", "shape"),
    [
        ([LAST], ()),  # texts, which have no last value
        ([LAST], (4, 4, 4)),
        ([LAST], (2,)),
        ([LAST, LAST], (3,)),
        ([LAST, {"channel": 0, "input": "x"}], (3,)),
        ([{"channel": True, "input": "x"}], (3,)),
        ([{"channel": 0, "input": "y"}], (3,)),
        (["transformer"], (3,)),
    ],
)
def test_what_contradicts_itself_is_refused(steps, shape):
    with pytest.raises((ValueError, KeyError)):  # which the folder's reader tells in one line
        targets_from_json({"": steps}, None, {"x": shape}, [""])
