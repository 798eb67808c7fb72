"""Trials' learning curves over each other, as a picture."""

import json
from pathlib import Path

import click

from hpsearch.commands import arguments
from hpsearch.commands.option_types import TrialNumber
from hpsearch.store import Url


@click.command()
@click.argument("trials", type=TrialNumber(), nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("compare.png"),
    help="The picture to write, a .png, .svg or .pdf; else compare.png.",
)
@click.option("--loss", is_flag=True, help="Draw the loss that was minimised, not the metric.")
@click.option("--training", is_flag=True, help="Draw the curves on the training rows too.")
@click.option(
    "--smooth",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.9,
    help="The weight of earlier epochs in smoothed curves; 0: draw only the raw ones.",
)
@click.option(
    "--skip",
    type=click.IntRange(min=0),
    help="Leave out this many epochs before smoothing; else ten, or a tenth of short curves.",
)
@arguments.store
@arguments.as_json
def compare(
    trials: tuple[int, ...],
    output: Path,
    loss: bool,
    training: bool,
    smooth: float,
    skip: int | None,
    store_path: Path | Url,
    as_json: bool,
) -> None:
    """Draw trials' validation curves over each other: each epoch, and smoothed.

    The legend says what differs between their points; the best epochs are marked. Over folds, a
    band is one standard deviation; trainings by several seeds are drawn as their mean.
    """
    from hpsearch.plots import canvas, curves
    from hpsearch.results import overlay
    from hpsearch.results.frames import StoreFrames

    canvas.check_picture_path(output)
    drawn = overlay.overlay_curves(
        StoreFrames(store_path), trials, loss=loss, smooth=smooth, skip=skip
    )
    canvas.write_picture(curves.draw_overlay(drawn, training=training), output)
    for line in drawn.lines:
        best = f"best {drawn.measure} {line.best_value:.4f} at epoch {line.best_epoch}"
        click.echo(f"{line.label}  {best}", err=as_json)
    click.echo(f"drawn into {output}", err=as_json)
    if as_json:
        click.echo(json.dumps({"file": str(output), **drawn.to_json()}))
