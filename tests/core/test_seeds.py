from hypothesis import given
from hypothesis import strategies as st

from hpsearch.core.seeds import canonical_json, derive_seed


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.booleans(), st.text())))
def test_canonical_text_does_not_depend_on_order(params):
    assert canonical_json(params) == canonical_json(dict(reversed(params.items())))


@given(st.integers(0, 2**31), st.text(), st.text(), st.integers(0, 9))
def test_seeds_differ_by_purpose(seed, one, other, fold):
    assert 0 <= derive_seed(seed, one) < 2**31
    assert (derive_seed(seed, one) == derive_seed(seed, other)) == (one == other)
    assert derive_seed(seed, one, fold) != derive_seed(seed, one, fold + 1)
