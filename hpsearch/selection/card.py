"""The model card, in Markdown: what was chosen, how it was trained, and how good it is."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from hpsearch.core.parameters import point_text
from hpsearch.results.baseline_gain import compare_in_words
from hpsearch.results.formatting import format_with_error, shorten_label

_MOST_CLASSES = 15  # of a confusion matrix in the text; card.json has all


def render_card(card: Mapping[str, Any]) -> str:
    """The model card as Markdown. card: as `refit` makes it."""
    return "\n".join(_card_lines(card)) + "\n"


def _card_lines(card: Mapping[str, Any]) -> Iterator[str]:
    baseline = card.get("baseline")
    if baseline is None:
        yield f"# {card['task']}: a model of {card['study']}"
    else:
        yield f"# {card['task']}: {baseline}, a baseline of {card['study']}"
    yield ""
    direction, evaluator = f"{card['direction']}imum is best", shorten_label(card["evaluator"])
    yield f"Ranked by {card['metric']} ({direction}), {evaluator}."
    unit = card.get("unit")
    if unit and "values" in unit:
        yield f"Values are {unit['values']}; residuals are in the unit of {unit['target']!r}."
    elif unit:
        yield (
            f"Values are in the unit of {unit['target']!r}; in rankings they are in standard "
            f"deviations of it (1 = {unit['one']:.4g})."
        )
    what = "complete trials" if baseline is None else "baselines"
    yield f"Chosen of {card['trials']} {what}: {card['choice']}."
    if baseline is not None:
        yield "It is a plain model of scikit-learn's, to compare a search with: no point of its space."
    yield ""
    for member in card["members"]:
        point = point_text(member["params"]) if baseline is None else baseline
        yield f"- trial {member['trial']}: {point}"
        if baseline is not None:
            yield f"  (validation {format_with_error(member['value'], member['se'])})"
            continue
        share = "" if len(card["members"]) == 1 else f"weight {member['weight']:.2f}, "
        yield (
            f"  ({share}{member['parameters']:,} weights, validation "
            f"{format_with_error(member['value'], member['se'])}, {_describe_epochs(member, card)})"
        )
        if "preprocess" in member:
            yield f"  preprocessed by {member['preprocess']}"
        if "preprocess_y" in member:
            yield f"  trained on targets changed by {member['preprocess_y']}"
    yield ""
    models = card["seeds"] * len(card["members"])
    together = (
        "" if models == 1 else f"; {models} models predict together, by the mean of their outputs"
    )
    seeds = f"{card['seeds']} seed{'s' if card['seeds'] > 1 else ''}"
    validated = card.get("validation_rows")  # given as a part of their own
    too = f", the {validated:,} that trials were validated on too," if validated else ""
    trained_on = "the train stream, without the validation's"
    if card["rows"] is not None:
        trained_on = f"all {card['rows']:,} rows but the test's{too}"
    yield f"Trained on {trained_on}{'' if too else ','} by {seeds}{together}."
    if "rows_from" in card:
        yield f"Rows are read from {card['rows_from']}."
    if "weights" in card:
        yield f"Rows weigh by {card['weights']}."
    if left_out := card.get("callbacks_left_out"):
        named = ", ".join(f"{name} ({watched})" for name, watched in left_out.items())
        why = "all rows were trained on" if card["rows"] is not None else "no epoch was validated"
        yield f"Trained without the callbacks {named}: they watch validation rows, and {why}."
    if card["edited"]:
        yield (
            "The study file was edited after its search began. The model is built from its current "
            "text."
        )
    if card["trust"]:
        trusted = " ".join(f"--trust {shlex.quote(name)}" for name in card["trust"])
        yield f"To predict with it: hpsearch predict MODEL NEW.csv {trusted}"
    yield ""
    yield from _score_table(card)
    if over := card.get("over_baseline"):
        yield ""
        yield from _compare_with_baseline(over)
    verdict = card["test"] or card["validation"]
    where = "test" if card["test"] else "validation"
    for name, details in verdict.get("outputs", {"": verdict}).items():
        if name:
            yield ""
            yield f"## {_escape_cell(name)}"
        if "classes" in details:
            yield from _class_tables(details, where)
        else:
            yield from _residual_tables(details, where)


def _describe_epochs(member: Mapping[str, Any], card: Mapping[str, Any]) -> str:
    if card["rows"] is None:
        return f"best at epoch {member['best_epoch']}: {member['epochs']} epochs again"
    found = f"best at epoch {member['best_epoch']} on {member['best_epoch_rows']:,} rows"
    epochs = member["epochs"]
    return (
        f"{found}: {epochs} epoch{'s' * (epochs != 1)} on all, the same number of {card['scale']}"
    )


def _score_table(card: Mapping[str, Any]) -> Iterator[str]:
    metric, validation, test = card["metric"], card["validation"], card["test"]
    yield f"| {metric} | value ± standard error |"
    yield "|---|---|"
    note = " (on the rows that it was chosen on)" if len(card["members"]) > 1 else ""
    yield f"| validation{note} | {format_with_error(validation['value'], validation['se'])} |"
    if test is None:
        yield ""
        yield "The test is sealed: it was not opened for this model."
        return
    yield f"| test, {test['rows']:,} rows | {format_with_error(test['value'], test['se'])} |"
    if len(test["alone"]) > 1:
        each = ", ".join(f"{value:.4f}" for value in test["alone"])
        alone = format_with_error(test["alone_mean"], test["alone_se"])
        yield f"| test, a model alone | {alone} ({each}) |"
    yield f"| optimism: validation minus test | {card['optimism']:+.4f} |"
    yield ""
    yield describe_opening(test["opening"])


def _compare_with_baseline(over: Mapping[str, Any]) -> Iterator[str]:
    """The model beside the best baseline: on validation rows, and where both were tested, there."""
    names = ("baseline", "gain", "se", "verdict")
    said = compare_in_words(*(over[name] for name in names))
    yield f"On validation rows: {said}."
    if (test := over["test"]) is not None:
        yield (
            f"On the test rows, {over['baseline']} reached {format_with_error(test['value'], test['se'])}."
        )


def describe_opening(nth: int) -> str:
    """What the number of openings means for the test result."""
    if nth == 1:
        return "These test rows were opened once, for this model."
    return (
        f"Opening number {nth} of these test rows: if anything was chosen by the earlier results, "
        "this result is optimistic."
    )


def _class_tables(verdict: Mapping[str, Any], where: str) -> Iterator[str]:
    counted, of = "rows", f"{where} rows"
    if "steps" in verdict:
        counted, of = "steps", f"the steps of {where} rows"
        if left_out := verdict["steps_left_out"]:
            of += f" ({left_out:,} of weight 0 left out)"
    yield ""
    yield f"Accuracy on {of}: {verdict['accuracy']:.4f}"
    yield ""
    yield f"| class | precision | recall | F1 | {counted} |"
    yield "|---|---|---|---|---|"
    for row in verdict["classes"]:
        scores = " | ".join(f"{row[name]:.3f}" for name in ("precision", "recall", "f1"))
        yield f"| {_escape_cell(row['class'])} | {scores} | {row[counted]:,} |"
    names = [_escape_cell(row["class"]) for row in verdict["classes"]]
    if len(names) > _MOST_CLASSES or "confusion" not in verdict:
        return
    yield ""
    yield f"| true \\ predicted | {' | '.join(names)} |"
    yield f"|---|{'---|' * len(names)}"
    for name, counts in zip(names, verdict["confusion"], strict=True):
        yield f"| {name} | {' | '.join(map(str, counts))} |"


def _escape_cell(name: Any) -> str:
    """A class's name, escaped for a Markdown table."""
    return " ".join(str(name).split()).replace("|", "\\|").replace("<", "&lt;")


def _residual_tables(verdict: Mapping[str, Any], where: str) -> Iterator[str]:
    yield ""
    yield f"On {where} rows: MAE {verdict['mae']:.4f}, RMSE {verdict['rmse']:.4f}."
    yield ""
    residuals = verdict["residuals"]
    yield f"| quantile | {' | '.join(residuals)} |"
    yield f"|---|{'---|' * len(residuals)}"
    shown = " | ".join(f"{value:.3f}" for value in residuals.values())
    yield f"| predicted minus true | {shown} |"
    yield ""
    tenths = verdict["against_true"]
    numbers = " | ".join(map(str, range(1, len(tenths) + 1)))
    yield f"| tenth of the rows, by the true value | {numbers} |"
    yield f"|---|{'---|' * len(tenths)}"
    for name in ("true", "predicted"):
        yield f"| {name}, mean | {' | '.join(f'{tenth[name]:.3f}' for tenth in tenths)} |"
