"""Do the last changes of bitcoin's price tell its price in the next hour, by an LSTM?

After Bernico, Deep Learning Quick Reference (2018), chapter 9, by the hour instead of the minute, and
validated five times on the months that follow what was trained on. The first point is the book's
network (Chapter09/lstm_bitcoin.py in its code): 10 lags, two LSTMs of 100 units, and a tanh; but its
layers keep no state from minibatch to minibatch, rows are shuffled, and it trains for 6 epochs instead
of 10. `tests/benchmarks/bitcoin.py` compares the best with the price of the hour before.
"""

from hpsearch import Choice, Float, Forward, Random, Space, Study
from hpsearch.tasks import bitcoin
from spaces import recurrent

study = Study(
    task=bitcoin.task(most_lags=48),
    space=Space(
        lags=Choice(6, 10, 12, 24, 48),
        layers=Choice(1, 2),
        units=Choice(8, 16, 32, 100),
        output_activation=Choice("linear", "tanh"),
        optimizer=Choice("adam"),
        learning_rate=Float(1e-3, 1e-2, log=True),
        batch_size=Choice(64, 100),
    ),
    build=recurrent.model("lstm"),
    searcher=Random(trials=8, epochs=6),
    evaluator=Forward(5),
    start=[
        {
            "lags": 10,
            "layers": 2,
            "units": 100,
            "output_activation": "tanh",
            "optimizer": "adam",
            "learning_rate": 0.001,
            "batch_size": 100,
        }
    ],
)
