"""Run the attacks and print their figures: python -m tests.attacks --only bad_inputs --sample 20"""

import argparse
import importlib
import pkgutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests import attacks
from tests.attacks.figures import Attack, Figures, table, to_json


def known_attacks() -> dict[str, Attack]:
    """Every attack, as MODULE.NAME: what the modules of this package have in ATTACKS."""
    found = {}
    for module in pkgutil.iter_modules(attacks.__path__):
        if module.name != "__main__":
            loaded = importlib.import_module(f"{attacks.__name__}.{module.name}")
            for name, attack in getattr(loaded, "ATTACKS", {}).items():
                found[f"{module.name}.{name}"] = attack
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """0: no attack succeeded; 1: some did, and stderr says how to see each again."""
    parser = argparse.ArgumentParser("tests.attacks", description=__doc__)
    parser.add_argument("--only", help="modules, or MODULE.NAME, with commas between them")
    parser.add_argument("--sample", type=int, help="so many cases of each attack, not all")
    parser.add_argument("--seed", type=int, default=0, help="by which the sample is drawn")
    parser.add_argument("--json", type=Path, help="write figures and failures to this file, too")
    parser.add_argument("--list", action="store_true", help="list the attacks, and run none")
    options = parser.parse_args(arguments)
    chosen = known_attacks()
    if options.only:
        wanted = options.only.split(",")
        chosen = {k: v for k, v in chosen.items() if k in wanted or k.split(".")[0] in wanted}
        if not chosen:
            parser.error(f"no attack {options.only!r}; known: {', '.join(known_attacks())}")
    if options.list:
        print(*chosen, sep="\n")
        return 0
    found: list[Figures] = []
    for name, attack in chosen.items():
        start = time.monotonic()
        figures = attack(options.sample, options.seed)
        figures.attack = name
        found.append(figures)
        bad = len(figures.failures)
        print(
            f"{name}: {figures.tried} tried, {bad} bad, {time.monotonic() - start:.0f} s",
            file=sys.stderr,
            flush=True,
        )
        for failure in figures.failures:
            print(f"\n{failure.verdict}: {failure.case}\n  {failure.detail}", file=sys.stderr)
        if options.json:  # at once, because all of them take long
            options.json.write_text(to_json(found))
    print(table(found))
    return 1 if any(figures.failures for figures in found) else 0


if __name__ == "__main__":
    sys.exit(main())
