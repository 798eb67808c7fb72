"""Figures that look alike, show themselves in notebooks, and leave pyplot and its settings alone."""

import functools
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from hpsearch.core.errors import ReportError
from hpsearch.core.files import read_regular
from hpsearch.core.outputs import OutputKind, choose_place, write_output
from hpsearch.results.scales import log_ticks

# Okabe and Ito's colours, which the colour-blind tell apart too; its yellow is too pale for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
GREY = "#666666"
COLOUR_MAP = "cividis_r"  # the later or better, the darker
LABEL_BOX = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.8}
ENDINGS = (".png", ".svg", ".pdf")
_MARK = "drawn by hpsearch"  # the keyword of our pictures
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
    "text.parse_math": False,  # names and options of the user's may hold a $
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
    """A figure without pyplot that a notebook shows all the same, sharp on any screen."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        width, height = (int(inches * 96) for inches in self.get_size_inches())
        return render(self, ".png", dpi=144), {"width": width, "height": height}


def with_style(draw: Callable[_P, _T]) -> Callable[_P, _T]:
    """Draw in our style, whatever the user's is."""

    @functools.wraps(draw)
    def within(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with matplotlib.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return within


def new_figure(width: float = 6.4, height: float = 3.6) -> Picture:
    """An empty figure of this size in inches, which keeps its parts from overlapping."""
    return Picture(figsize=(width, height), layout="constrained")


def ensure_axes(ax: Axes | None, width: float = 6.4, height: float = 3.6) -> tuple[Figure, Axes]:
    """The axes given and their figure, or new ones."""
    if ax is None:
        made = new_figure(width, height)
        return made, made.add_subplot()
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure, ax


def make_panels(
    count: int, *, across: int, width: float, height: float
) -> tuple[Picture, list[Axes]]:
    """A figure of so many panels, `across` in a row, each of this size in inches."""
    across = min(count, across)
    down = -(-count // across)
    figure = new_figure(across * width, down * height)
    return figure, [figure.add_subplot(down, across, place + 1) for place in range(count)]


def set_title(ax: Axes, text: str, below: str = "") -> None:
    """A title, and a smaller line or more under it that says what is drawn."""
    lines = below.count("\n") + 1 if below else 0
    ax.set_title(text, pad=5 + 10.5 * lines, fontweight="bold")
    if below:
        ax.annotate(
            below, (0, 1), xytext=(0, 5), xycoords="axes fraction", textcoords="offset points",
            fontsize=8, color=GREY, va="bottom", linespacing=1.15, annotation_clip=False,
        )  # fmt: skip


def set_log_scale(axis: Axis, low: float, high: float) -> None:
    """A logarithmic x-axis with few labels, as plain numbers."""
    axis.axes.set_xscale("log")
    found = log_ticks(low, high)
    axis.set_ticks(list(found), list(found.values()))
    axis.set_minor_formatter(NullFormatter())


def palette_colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def line_style(number: int) -> Any:
    return DASHES[number // len(COLOURS) % len(DASHES)]


def render(figure: Figure, ending: str, *, dpi: int = 192) -> bytes:
    held = io.BytesIO()
    # -- no date: the same numbers give the same file
    dates: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    metadata = {"Keywords": _MARK, **dates.get(ending, {})}
    with matplotlib.rc_context({"svg.hashsalt": "hpsearch", "svg.fonttype": "path"}):
        figure.savefig(held, format=ending[1:], dpi=dpi, metadata=metadata)
    return held.getvalue()


def check_picture_path(path: Path) -> Path:
    """Where a picture may be written: the path, or what links lead to from it.

    Raises ReportError for an unknown ending, and OutputError for a file that is no such picture.
    """
    if path.suffix.lower() not in ENDINGS:
        raise ReportError(f"a picture's file ends in {', '.join(ENDINGS)}, got {str(path)!r}")
    return choose_place(path, PICTURE)


def write_picture(figure: Figure, path: Path) -> None:
    """As PNG, SVG or PDF, by the ending, whole or not at all. Raises ReportError or OutputError."""
    place = check_picture_path(path)
    write_output(place, render(figure, path.suffix.lower()), PICTURE)


def _is_our_picture(file: Path) -> bool:
    """Whether we drew it, by the keyword in a PNG, SVG or PDF; a user's own figure has none."""
    content = read_regular(file, 50_000_000)
    keywords = (f"tEXtKeywords\0{_MARK}", f"<rdf:li>{_MARK}</rdf:li>", f"/Keywords ({_MARK})")
    return any(keyword.encode() in content for keyword in keywords)


PICTURE = OutputKind("a picture that hpsearch drew", _is_our_picture)
