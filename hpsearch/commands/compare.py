"""Draw the learning curves of several trials, or the searches of several studies, in one figure."""

import json
from pathlib import Path

import click
from click.core import ParameterSource

from hpsearch.commands import arguments, completion
from hpsearch.core.errors import StudyError
from hpsearch.runs.option_types import TrialNumber
from hpsearch.store import Store, Url, find_target


@click.command()
@click.argument(
    "named",
    metavar="TRIALS|STUDIES...",
    nargs=-1,
    required=True,
    shell_complete=completion.complete_trials_and_studies,
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("compare.png"),
    help="Draw into this file, a .png, .svg or .pdf. Default: compare.png.",
)
@click.option(
    "--loss", is_flag=True, help="Draw the loss that was minimised instead of the metric."
)
@click.option("--metric", help="Draw this metric, recorded by the trials beside the task's own.")
@click.option("--training", is_flag=True, help="Draw the curves on the training rows as well.")
@click.option(
    "--smooth",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.9,
    help="Smooth curves with this weight of earlier epochs. 0: draw only raw curves.",
)
@click.option(
    "--skip",
    type=click.IntRange(min=0),
    help="Leave out this many first epochs before smoothing. Default: ten, or a tenth of short "
    "curves.",
)
@arguments.store
@arguments.as_json
def compare(
    named: tuple[str, ...],
    output: Path,
    loss: bool,
    metric: str | None,
    training: bool,
    smooth: float,
    skip: int | None,
    store_path: Path | Url,
    as_json: bool,
) -> None:
    """Draw the validation curves of several trials in one figure: raw and smoothed.

    Of studies, draw the best value so far of each of their searches instead, by the epochs trained
    and by the running time. They must have the same task, metric, data and evaluator.

    The legend shows which parameters differ between the trials. The best epochs are marked. A band
    is one standard deviation over folds. Trainings with several seeds are drawn as their mean.
    """
    from hpsearch.plots import canvas, curves
    from hpsearch.results import overlay
    from hpsearch.results.frames import StoreFrames

    canvas.check_picture_path(output)
    numbers = [name.isascii() and name.removeprefix("-").isdigit() for name in named]
    if not any(numbers):
        _compare_studies(named, output, store_path, as_json=as_json)
        return
    if not all(numbers):
        first, other = named[numbers.index(True)], named[numbers.index(False)]
        raise StudyError(
            f"trial {first} and study {other} do not compare; name trials alone, or studies alone"
        )
    context = click.get_current_context()
    trials = [TrialNumber().convert(name, None, context) for name in named]
    drawn = overlay.overlay_curves(
        StoreFrames(store_path), trials, loss=loss, metric=metric, smooth=smooth, skip=skip
    )
    canvas.write_picture(curves.draw_overlay(drawn, training=training), output)
    for line in drawn.lines:
        best = f"best {drawn.measure} {line.best_value:.4f} at epoch {line.best_epoch}"
        click.echo(f"{line.label}  {best}", err=as_json)
    click.echo(f"drawn into {output}", err=as_json)
    if as_json:
        click.echo(json.dumps({"file": str(output), **drawn.to_json()}))


def _compare_studies(
    named: tuple[str, ...], output: Path, store_path: Path | Url, *, as_json: bool
) -> None:
    from hpsearch.plots import canvas
    from hpsearch.plots.studies import draw_studies
    from hpsearch.results.frames import StoreFrames
    from hpsearch.results.study_overlay import last_best, overlay_studies

    context = click.get_current_context()
    for name in ("loss", "metric", "training", "smooth", "skip"):
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise StudyError(f"--{name} has no effect on studies; drop it, or name trials")
    with Store(store_path) as store:
        studies = list(dict.fromkeys(find_target(store, name).study for name in named))
    drawn = overlay_studies(StoreFrames(store_path), studies)
    canvas.write_picture(draw_studies(drawn), output)
    for search, curve in drawn.best.curves.items():
        best = f"best {last_best(curve):.4f}, {len(curve)} trials"
        click.echo(f"{drawn.best.names[search]}  {best}", err=as_json)
    click.echo(f"drawn into {output}", err=as_json)
    if as_json:
        click.echo(json.dumps({"file": str(output), **drawn.to_json()}))
