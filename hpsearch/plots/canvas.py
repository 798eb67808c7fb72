"""The common style of all figures, and how they are shown and written.

Neither pyplot nor matplotlib's global settings are touched.
"""

import functools
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from hpsearch.core.errors import ReportError
from hpsearch.core.files import read_regular_file
from hpsearch.core.outputs import OutputKind, choose_place, write_output
from hpsearch.results.scales import AxisScale

# Okabe and Ito's colours, which are distinct for the colour-blind too. Their yellow is left out: it
# is too pale for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
GREY = "#666666"
COLOUR_MAP = "cividis_r"  # later or better is darker
LABEL_BOX = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.8}
ENDINGS = (".png", ".svg", ".pdf")
_MARK = "drawn by hpsearch"  # a keyword in the file of each picture
_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#999999",
    "axes.grid": True,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.facecolor": "white",
    "font.size": 9,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "text.parse_math": False,  # the user's names and options may contain $
    "xtick.color": "#999999",
    "xtick.labelcolor": "black",
    "xtick.labelsize": 8,
    "ytick.color": "#999999",
    "ytick.labelcolor": "black",
    "ytick.labelsize": 8,
}
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Picture(Figure):
    """A figure without pyplot that notebooks show, with enough pixels for any screen."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        width, height = (int(inches * 96) for inches in self.get_size_inches())
        return render(self, ".png", dpi=144), {"width": width, "height": height}


def with_style(draw: Callable[_P, _T]) -> Callable[_P, _T]:
    """Decorate a function so that it draws in our style, whatever the user's style is."""

    @functools.wraps(draw)
    def within(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with matplotlib.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return within


def new_figure(width: float = 6.4, height: float = 3.6) -> Picture:
    """An empty figure of this size in inches. Its layout keeps parts from overlapping."""
    return Picture(figsize=(width, height), layout="constrained")


def ensure_axes(ax: Axes | None, width: float = 6.4, height: float = 3.6) -> tuple[Figure, Axes]:
    """These axes and their figure; for None, new ones of this size in inches."""
    if ax is None:
        made = new_figure(width, height)
        return made, made.add_subplot()
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure, ax


def make_panels(
    count: int, *, across: int, width: float, height: float
) -> tuple[Picture, list[Axes]]:
    """A figure of so many panels, at most `across` in a row, each of this size in inches."""
    across = min(count, across)
    down = -(-count // across)
    figure = new_figure(across * width, down * height)
    return figure, [figure.add_subplot(down, across, place + 1) for place in range(count)]


def set_title(ax: Axes, text: str, below: str = "") -> None:
    """Set a title, and under it smaller lines that say what is drawn."""
    lines = below.count("\n") + 1 if below else 0
    ax.set_title(text, pad=5 + 10.5 * lines, fontweight="bold")
    if below:
        ax.annotate(
            below, (0, 1), xytext=(0, 5), xycoords="axes fraction", textcoords="offset points",
            fontsize=8, color=GREY, va="bottom", linespacing=1.15, annotation_clip=False,
        )  # fmt: skip


def set_x_scale(ax: Axes, scale: AxisScale) -> None:
    """Scale and label the x-axis."""
    if scale.is_log:
        ax.set_xscale("log")
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xticks(list(scale.ticks), list(scale.ticks.values()))
    ax.set_xlim(scale.range)


def palette_colour(number: int) -> str:
    """A colour of the palette, which starts again after its last."""
    return COLOURS[number % len(COLOURS)]


def line_style(number: int) -> Any:
    """A dash pattern, which distinguishes lines of one colour."""
    return DASHES[number // len(COLOURS) % len(DASHES)]


def render(figure: Figure, ending: str, *, dpi: int = 192) -> bytes:
    """The figure as a file's content; ending: ".png", ".svg" or ".pdf"."""
    content = io.BytesIO()
    # Without a date, so that the same numbers give the same file.
    dates: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    metadata = {"Keywords": _MARK, **dates.get(ending, {})}
    with matplotlib.rc_context({"svg.hashsalt": "hpsearch", "svg.fonttype": "path"}):
        figure.savefig(content, format=ending[1:], dpi=dpi, metadata=metadata)
    return content.getvalue()


def check_picture_path(path: Path) -> Path:
    """Check that a picture may be written there; return the path with symbolic links followed.

    Raises ReportError for an unknown ending, and OutputError where another file is there.
    """
    if path.suffix.lower() not in ENDINGS:
        raise ReportError(f"a picture's file ends in {', '.join(ENDINGS)}, got {str(path)!r}")
    return choose_place(path, PICTURE)


def write_picture(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, SVG or PDF, by the path's ending, whole or not at all.

    Raises ReportError or OutputError.
    """
    place = check_picture_path(path)
    write_output(place, render(figure, path.suffix.lower()), PICTURE)


def _is_our_picture(file: Path) -> bool:
    """Whether hpsearch drew it: whether the PNG, SVG or PDF has our keyword."""
    content = read_regular_file(file, 50_000_000)
    keywords = (f"tEXtKeywords\0{_MARK}", f"<rdf:li>{_MARK}</rdf:li>", f"/Keywords ({_MARK})")
    return any(keyword.encode() in content for keyword in keywords)


PICTURE = OutputKind("a picture that hpsearch drew", _is_our_picture)
