"""What searches take on disk, and what deleting would free, as tables and lines for a terminal."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from hpsearch.core.files import format_bytes, hide_secrets
from hpsearch.results.formatting import shorten_label
from hpsearch.runs.disk import Leftover, SearchOnDisk
from hpsearch.runs.removal import RemovalPlan
from hpsearch.store import Url
from hpsearch.store.command_text import command_text

_MOST_LINES = 40


def describe_sizes(
    rows: Sequence[SearchOnDisk], unused: int, place: Path | Url
) -> Iterator[Table | str]:
    """A row for each search: what it takes in the store, at `place`, and beside it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("study", overflow="fold")
    table.add_column("searcher", overflow="fold")
    for name in ("trials", "rows", "in the store", "checkpoints", "kept models"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("tags and note", overflow="fold")
    for row in rows:
        replaced = ["replaced by --fresh"] if row.size.is_retired else []
        table.add_row(
            row.size.study,
            shorten_label(row.size.searcher),
            str(row.size.trials),
            str(row.size.rows),
            format_bytes(row.size.bytes),
            format_bytes(row.checkpoints) if row.checkpoints else "-",
            format_bytes(row.models) if row.models else "-",
            "; ".join([*row.tags, *([row.note] if row.note else []), *replaced]),
        )
    yield table
    total = sum(row.size.bytes + row.checkpoints + row.models for row in rows)
    yield f"together {format_bytes(total)}"
    if unused:
        clean = command_text("clean", None, place)
        yield f"{format_bytes(unused)} of the store are unused; {clean} frees them"


def describe_removal(plan: RemovalPlan, place: Path | Url) -> Iterator[str]:
    """What deleting a trial or a study of the store at `place` deletes."""
    if plan.target.trial is None:
        yield f"study {plan.target.study}: {len(plan.trials)} trials with their curves"
        if plan.openings:
            times = "once" if plan.openings == 1 else f"{plan.openings} times"
            yield f"its test was opened {times}, which stays on record"
    else:
        yield f"trial {plan.target.trial} of {plan.target.study}: its search keeps how it ended"
    for each in plan.files:
        clean = command_text("clean", None, place)
        later = f", which stay while the search runs; {clean} frees them later"
        size = format_bytes(each.bytes)
        yield f"{each.why}: {size} in {hide_secrets(each.path)}{later if plan.keeps(each) else ''}"


def describe_leftovers(found: Sequence[Leftover], unused: int) -> Iterator[str]:
    """What cleaning would delete, the largest first."""
    if not found and not unused:
        yield "nothing to clean"
        return
    by_size = sorted(found, key=lambda each: -each.bytes)
    for each in by_size[:_MOST_LINES]:
        yield f"{format_bytes(each.bytes):>10}  {each.why}: {hide_secrets(each.path)}"
    if rest := by_size[_MOST_LINES:]:
        yield f"{format_bytes(sum(each.bytes for each in rest)):>10}  {len(rest)} more"
    if unused:
        yield f"{format_bytes(unused):>10}  unused space in the store"
    total = sum(each.bytes for each in found) + unused
    yield f"together {format_bytes(total)}"


def removal_to_json(plan: RemovalPlan) -> dict[str, Any]:
    return {
        "study": plan.target.study,
        "trial": plan.target.trial,
        "trials": len(plan.trials),
        "files": [leftover_to_json(each) for each in plan.files],
    }


def leftover_to_json(each: Leftover) -> dict[str, Any]:
    return {"path": hide_secrets(each.path), "bytes": each.bytes, "what": each.why}


def size_to_json(row: SearchOnDisk) -> dict[str, Any]:
    return {
        "search": row.size.search,
        "study": row.size.study,
        "task": row.size.task,
        "searcher": row.size.searcher,
        "trials": row.size.trials,
        "rows": row.size.rows,
        "bytes": row.size.bytes,
        "checkpoint_bytes": row.checkpoints,
        "model_bytes": row.models,
        "replaced": row.size.is_retired,
        "tags": list(row.tags),
        "note": row.note,
    }
