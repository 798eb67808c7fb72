from hypothesis import given
from hypothesis import strategies as st

from hpsearch.core.seeds import canonical, derive


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.booleans(), st.text())))
def test_canonical_text_does_not_depend_on_order(params):
    assert canonical(params) == canonical(dict(reversed(params.items())))


@given(st.integers(0, 2**31), st.text(), st.text(), st.integers(0, 9))
def test_seeds_differ_by_purpose(seed, one, other, fold):
    assert 0 <= derive(seed, one) < 2**31
    assert (derive(seed, one) == derive(seed, other)) == (one == other)
    assert derive(seed, one, fold) != derive(seed, one, fold + 1)
