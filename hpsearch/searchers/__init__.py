"""Search methods behind one ask and tell. See README.md."""

from hpsearch.searchers.base import Search, Searcher
from hpsearch.searchers.grid import Grid
from hpsearch.searchers.random_search import Random

__all__ = ["Grid", "Random", "Search", "Searcher"]
