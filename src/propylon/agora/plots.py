"""Plots: what an experiment wants to show, and how it becomes SVG that speaks both languages, by day and by night.

Every plot has axes with their units, the spread of the rounds, and the baseline where there is one.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from propylon.agora.figures import Figure, spelled
from propylon.agora.said import Said

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

WIDTH_IN, BAR_IN, LINES_IN = 7.2, 0.34, 3.4

# Colours that stand for the page's own, which change between day and night.
_COLOURS = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--line)",
    "#040404": "var(--plot-1)",
    "#050505": "var(--plot-2)",
    "#060606": "var(--plot-3)",
    "#070707": "var(--plot-4)",
    "#080808": "var(--plot-5)",
}
_INK, _MUTED, _LINE, *_SERIES = _COLOURS
_TEXT = re.compile(r"(<text\b[^>]*>)([^<]*)(</text>)")


class Bar(msgspec.Struct, frozen=True):
    """One bar: the median, and the smallest and largest of the rounds."""

    label: Said
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, label: Said, figure: Figure) -> Bar:
        """Return the bar of a figure."""
        return cls(label, figure.median, figure.low, figure.high)


class Bars(msgspec.Struct, frozen=True):
    """Things compared by one quantity.

    Attributes:
        axis: the quantity with its unit.
        baseline: what they are held against, a line through all bars.
        logarithmic: where the largest is hundreds of times the smallest.
    """

    title: Said
    axis: Said
    bars: tuple[Bar, ...]
    baseline: float | None = None
    baseline_label: Said | None = None
    logarithmic: bool = False


class Line(msgspec.Struct, frozen=True):
    """One line, with a band between the smallest and the largest where it was measured more than once."""

    label: Said
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    lows: tuple[float, ...] = ()
    highs: tuple[float, ...] = ()


class Lines(msgspec.Struct, frozen=True):
    """One quantity over another."""

    title: Said
    x_axis: Said
    y_axis: Said
    lines: tuple[Line, ...]
    baseline: float | None = None
    baseline_label: Said | None = None
    logarithmic_x: bool = False
    logarithmic_y: bool = False


class Cell(msgspec.Struct, frozen=True):
    """What was seen; ``good`` is None where it is neither."""

    said: Said
    good: bool | None = None


class Matrix(msgspec.Struct, frozen=True):
    """What happened, by two things: a table that is read at a glance."""

    title: Said
    corner: Said
    columns: tuple[Said, ...]
    rows: tuple[tuple[Said, tuple[Cell, ...]], ...]


Plot = Bars | Lines | Matrix


def svg(plot: Bars | Lines) -> str:
    """Return a plot as an ``<svg>`` element whose texts are in both languages."""
    from matplotlib import rc_context  # noqa: PLC0415 - half a second, which only reports pay
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415

    style: dict[str, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": "propylon", "font.size": 9.5,
        "text.color": _INK, "axes.labelcolor": _MUTED, "axes.edgecolor": _LINE,
        "xtick.color": _LINE, "ytick.color": _LINE, "xtick.labelcolor": _MUTED, "ytick.labelcolor": _INK,
        "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    with rc_context(style):  # type: ignore[arg-type]
        height = LINES_IN if isinstance(plot, Lines) else 0.9 + BAR_IN * len(plot.bars)
        canvas = Canvas(figsize=(WIDTH_IN, height), layout="constrained")
        axes = canvas.add_subplot()
        texts = _draw_lines(axes, plot) if isinstance(plot, Lines) else _draw_bars(axes, plot)
        return _told_twice(_drawn(canvas), texts, plot.title)


def picture(plot: Bars | Lines, language: str) -> str:
    """Return a plot as an SVG file of its own in one language, for a page that knows neither our colours nor words."""
    other = re.compile(rf'<tspan lang="(?!{language}")[^"]*">[^<]*</tspan>')
    colours = files("propylon.agora").joinpath("templates", "colours.css").read_text()
    style = f"<style>{colours}svg {{ background: var(--surface); }}</style>"
    drawn = other.sub("", svg(plot))
    return drawn[: drawn.index(">") + 1] + style + drawn[drawn.index(">") + 1 :]


def _draw_bars(axes: Axes, plot: Bars) -> list[Said]:
    from matplotlib.ticker import LogLocator  # noqa: PLC0415 - as in ``svg``

    places = range(len(plot.bars))
    longest = max((bar.high for bar in plot.bars), default=1)
    values = [bar.value for bar in plot.bars]
    spread = [[bar.value - bar.low for bar in plot.bars], [bar.high - bar.value for bar in plot.bars]]
    axes.barh(places, values, height=0.62, color=_SERIES[0], zorder=2)
    axes.errorbar(values, places, xerr=spread, fmt="none", ecolor=_INK, elinewidth=1, capsize=2.5, zorder=3)
    axes.set_yticks(places, [bar.label.en for bar in plot.bars])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=_LINE, linewidth=0.6, zorder=0)
    axes.set_xlabel(plot.axis.en)
    if plot.logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(right=longest * 12)  # room for the figure beside it
        axes.xaxis.set_major_locator(LogLocator(numticks=5))
    else:
        axes.set_xlim(0, longest * 1.18 or 1)
    axes.xaxis.set_major_formatter(_as_people_read)
    for place, bar in zip(places, plot.bars, strict=True):
        axes.annotate(spelled(bar.value), (max(bar.high, bar.value), place), xytext=(4, 0),
                      textcoords="offset points", va="center", fontsize=8.5)  # fmt: skip
    if plot.baseline is not None:
        axes.axvline(plot.baseline, color=_SERIES[1], linestyle=(0, (4, 3)), linewidth=1.2, zorder=4)
    return [plot.axis, *(bar.label for bar in plot.bars)]


def _draw_lines(axes: Axes, plot: Lines) -> list[Said]:
    for line, colour in zip(plot.lines, _repeated(_SERIES), strict=False):
        axes.plot(line.xs, line.ys, color=colour, linewidth=1.8, marker="o", markersize=3.5, label=line.label.en)
        if line.lows:
            axes.fill_between(line.xs, line.lows, line.highs, color=colour, alpha=0.18, linewidth=0)
    axes.set_xlabel(plot.x_axis.en)
    axes.set_ylabel(plot.y_axis.en)
    if plot.logarithmic_x:
        axes.set_xscale("log")
        axes.set_xticks(sorted({x for line in plot.lines for x in line.xs}))
        axes.minorticks_off()
    if plot.logarithmic_y:
        axes.set_yscale("log")
    axes.xaxis.set_major_formatter(_as_people_read)
    axes.yaxis.set_major_formatter(_as_people_read)
    axes.grid(color=_LINE, linewidth=0.6)
    said = [plot.x_axis, plot.y_axis, *(line.label for line in plot.lines)]
    if plot.baseline is not None:
        label = plot.baseline_label or Said("baseline", "기준")
        axes.axhline(plot.baseline, color=_MUTED, linestyle=(0, (4, 3)), linewidth=1.2, label=label.en)
        said.append(label)
    axes.legend(frameon=False, fontsize=8.5)
    return said


def _as_people_read(value: float, _: float) -> str:
    return spelled(value)


def _repeated(colours: Sequence[str]) -> Iterable[str]:
    while True:
        yield from colours


def _drawn(canvas: Canvas) -> str:
    output = io.StringIO()
    canvas.savefig(output, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = output.getvalue()
    return text[text.index("<svg") :]


def _told_twice(text: str, said: Sequence[Said], title: Said) -> str:
    """Say every label in both languages; the page shows one of them."""
    korean = {escape(one.en, quote=False): escape(one.ko, quote=False) for one in said}

    def twice(found: re.Match[str]) -> str:
        opening, words, closing = found.groups()
        if words not in korean:
            return found[0]
        return f'{opening}<tspan lang="en">{words}</tspan><tspan lang="ko">{korean[words]}</tspan>{closing}'

    for placeholder, colour in _COLOURS.items():
        text = text.replace(placeholder, colour)
    label = f'role="img" aria-label="{escape(title.en)} / {escape(title.ko)}" '
    text = re.sub(r'(width|height)="[\d.]+pt" ?', "", text, count=2)
    return _TEXT.sub(twice, text.replace("<svg ", f"<svg {label}", 1))
