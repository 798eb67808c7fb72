"""The source books' experiments, run anew: `python -m tests.benchmarks.books [STUDY...]`.

For each study: the book's networks with ten seeds, the search with its baselines, the refit and its
test, by the commands that a user has. Then `studies/README.md` is written from what the store and
the model cards say. Needs the real data ($HPSEARCH_DATA), and at most two hours on two cores.

What is done is not done again: a run that was cut off goes on, and `--only-write` writes the page of
what there is. A study that fails is named in the table, and tried again by the next run. With `--more`
the named studies go on where their minutes ended, are refitted, and their test is opened once more.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from hpsearch.core.files import write_whole
from tests.benchmarks.books.book_studies import BOOKS, BookStudy
from tests.benchmarks.books.page import write_page
from tests.benchmarks.books.work import Extent, forget_done, read_facts, work
from tests.benchmarks.product_commands import ROOT

PARTS = 3
MOST = 2.0
"""By how much a study's minutes are multiplied at most, where there is time left."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    names = [book.name for book in BOOKS]
    if unknown := set(options.studies) - set(names):
        raise SystemExit(f"no study of a book: {', '.join(sorted(unknown))}; {', '.join(names)}")
    if os.environ.get("HPSEARCH_DATA") == "stand-in" and options.readme == README:
        raise SystemExit("stand-ins are not the books' data; set HPSEARCH_DATA, or give --readme")
    if options.more and not options.studies:
        raise SystemExit("--more goes on with studies that are named; name them")
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not options.only_write:
        chosen = [book for book in BOOKS if not options.studies or book.name in options.studies]
        for book in chosen if options.more else ():
            forget_done(book, folder)
        run_all(chosen, folder, 60 * options.hours, make_extent(options), options.readme)
    write_whole(options.readme, write_page(BOOKS, folder))
    print(f"{options.readme} is written")


README = ROOT / "studies" / "README.md"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="*", metavar="STUDY")
    parser.add_argument("--folder", type=Path, default=ROOT / ".hpsearch" / "books")
    parser.add_argument("--hours", type=float, default=2.0, help="of all that is not done yet")
    parser.add_argument("--readme", type=Path, default=README)
    parser.add_argument("--only-write", action="store_true")
    parser.add_argument("--more", action="store_true", help="go on with the named studies")
    parser.add_argument("--seeds", type=int, default=10, help="of the books' networks")
    parser.add_argument("--repeats", type=int, default=2, help="of the best trials")
    parser.add_argument("--trials", type=int, help="of a search, at most")
    parser.add_argument("--epochs", type=int, help="of a trial, at most")
    return parser.parse_args(arguments)


def make_extent(options: argparse.Namespace) -> Extent:
    return Extent(options.seeds, options.repeats, options.trials, options.epochs)


def run_all(
    books: Sequence[BookStudy], folder: Path, minutes: float, extent: Extent, readme: Path
) -> None:
    """Run what is missing of each, sharing what is left of the time by the studies' minutes."""
    missing = [b for b in books if len(read_facts(b, folder).get("done", ())) < PARTS]
    missing.sort(key=lambda book: not book.slow)
    left, spent = minutes, 0.0
    for place, book in enumerate(missing):
        planned = sum(sum(each.minutes) for each in missing[place:])
        scale = min(MOST, left / planned)
        if left <= 0:
            print(f"{book.name} and what follows were not run: {minutes:.0f} minutes are over")
            return
        before = sum(read_facts(book, folder).get("minutes", {}).values())
        facts = work(book, folder, scale, extent)
        took = sum(facts["minutes"].values()) - before
        left, spent = left - took, spent + took
        ended = ", ".join(facts["failed"]) or "done"
        print(
            f"[{place + 1}/{len(missing)}] {book.name}: {ended}, {took:.1f} minutes; "
            f"{spent:.0f} of {minutes:.0f} are spent",
            flush=True,
        )
        write_whole(readme, write_page(BOOKS, folder))


if __name__ == "__main__":
    main()
