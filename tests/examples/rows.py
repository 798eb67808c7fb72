"""What the examples learn: 400 of scikit-learn's digits, x of (400, 64) in [0, 1], y in 0..9."""

from hpsearch.tasks import digits

_all = digits.load()
x, y = _all.x[:400], _all.y[:400]
