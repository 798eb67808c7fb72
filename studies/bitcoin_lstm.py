"""Do the last changes of bitcoin's price tell its price in the next hour, by an LSTM?

After Bernico, Deep Learning Quick Reference, chapter 9, by the hour instead of the minute, and
validated five times on the months that follow what was trained on. `tests/benchmarks/bitcoin.py`
compares it with the price of the hour before.
"""

from hpsearch import Choice, Float, Forward, Random, Space, Study
from hpsearch.tasks import bitcoin
from spaces import recurrent

study = Study(
    task=bitcoin.task(most_lags=48),
    space=Space(
        lags=Choice(6, 12, 24, 48),
        units=Choice(8, 16, 32),
        optimizer=Choice("adam"),
        learning_rate=Float(1e-3, 1e-2, log=True),
        batch_size=Choice(64),
    ),
    build=recurrent.model("lstm"),
    searcher=Random(trials=8, epochs=6),
    evaluator=Forward(5),
)
