"""Draw the learning curves of several trials in one figure."""

import json
from pathlib import Path

import click

from hpsearch.commands import arguments
from hpsearch.runs.option_types import TrialNumber
from hpsearch.store import Url


@click.command()
@click.argument("trials", type=TrialNumber(), nargs=-1, required=True)
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
    trials: tuple[int, ...],
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

    The legend shows which parameters differ between the trials. The best epochs are marked. A band
    is one standard deviation over folds. Trainings with several seeds are drawn as their mean.
    """
    from hpsearch.plots import canvas, curves
    from hpsearch.results import overlay
    from hpsearch.results.frames import StoreFrames

    canvas.check_picture_path(output)
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
