"""Search methods behind one ask and tell. See README.md."""

from hpsearch.searchers.asha import Asha
from hpsearch.searchers.auto.auto import Auto
from hpsearch.searchers.base import Search, Searcher
from hpsearch.searchers.bayes import Bayes
from hpsearch.searchers.genetic import Genetic
from hpsearch.searchers.grid import Grid
from hpsearch.searchers.grow import GrowThenRegularize
from hpsearch.searchers.hyperband import Hyperband
from hpsearch.searchers.kerastuner import KerasTunerHyperband
from hpsearch.searchers.random_search import Random

__all__ = [
    "Asha",
    "Auto",
    "Bayes",
    "Genetic",
    "Grid",
    "GrowThenRegularize",
    "Hyperband",
    "KerasTunerHyperband",
    "Random",
    "Search",
    "Searcher",
]
