"""Figures as SVG. matplotlib is an extra: what needs no figure needs no matplotlib."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from countenance.errors import BadInput
from countenance.evaluation.dsys import Measured
from countenance.evaluation.linkage import Scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BARS = 50
_MATED, _NONMATED, _LOCAL = "#0b5cad", "#b3541e", "#444444"
_SETTINGS: Any = {"svg.hashsalt": "countenance", "svg.fonttype": "none", "font.size": 8, "font.family": "sans-serif"}


@dataclass(frozen=True)
class Panel:
    """One linkage function to draw: a title, the name of its score, its scores and what was measured."""

    title: str
    score: str
    scored: Scored
    measured: Measured


def require() -> None:
    """Raise BadInput(plots-missing) where matplotlib is not installed; before anything takes time."""
    try:
        import matplotlib.figure  # noqa: F401  # only to see whether it is there
    except ImportError:
        raise BadInput("plots-missing", 'Plots need matplotlib: pip install "countenance[plots]".') from None


def drawn(panels: Sequence[Panel], across: int) -> str:
    """Return an SVG with `across` panels a row: both distributions of scores, and D(s).

    Holds histograms, and no single score. Raises BadInput(plots-missing).
    """
    require()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    down = -(-len(panels) // across)
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(3.6 * across, 2.5 * down), layout="constrained")
        for number, panel in enumerate(panels):
            _panel(figure.add_subplot(down, across, number + 1), panel)
        handles = figure.axes[0].get_lines() + figure.axes[1].get_lines()
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _panel(axes: Axes, panel: Panel) -> None:
    scored, measured = panel.scored, panel.measured
    edges = _histogram_edges(scored)
    middle = (edges[:-1] + edges[1:]) / 2
    for scores, label, colour, line in ((scored.mated, "one person", _MATED, "-"),
                                        (scored.nonmated, "two people", _NONMATED, "--")):
        shares = np.histogram(scores, edges)[0] / len(scores)
        axes.plot(middle, shares, line, color=colour, label=label, drawstyle="steps-mid", linewidth=1.2)
    axes.set_title(f"{panel.title}\nD_sys {measured.d_sys:.3f}, by chance alone {measured.chance:.3f}", fontsize=8)
    axes.set_xlabel(panel.score)
    axes.set_ylabel("share of pairs")
    axes.set_ylim(bottom=0)
    local = axes.twinx()
    local.stairs(measured.local, measured.edges, color=_LOCAL, linewidth=1, baseline=None)
    local.plot([], [], color=_LOCAL, label="D(s)", linewidth=1)
    local.set_ylim(0, 1.05)
    local.set_ylabel("D(s)")


def _histogram_edges(scored: Scored) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the edges of equally wide bars; of whole numbers, each bar has equally many of them."""
    low = min(scored.mated.min(), scored.nonmated.min())
    high = max(scored.mated.max(), scored.nonmated.max())
    whole = all(np.array_equal(scores, np.rint(scores)) for scores in (scored.mated, scored.nonmated))
    if not whole:
        return np.linspace(low, high, _BARS + 1)
    step = max(1.0, np.ceil((high - low + 1) / _BARS))
    return np.arange(low - 0.5, high + 0.5 + step, step)


def det(curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Return an SVG of DET curves, (FMR, FNMR) each, both on logarithmic axes. Raises BadInput(plots-missing)."""
    require()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(5.2, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for (name, curve), colour in zip(curves.items(), (_MATED, _NONMATED, _LOCAL), strict=False):
            matches, misses = zip(*((max(a, 1e-9), max(b, 1e-3)) for a, b in curve), strict=True)
            axes.loglog(matches, misses, label=name, color=colour)
        axes.set_xlabel("false match rate (FMR)")
        axes.set_ylabel("false non-match rate (FNMR)")
        axes.set_ylim(1e-3, 1.05)  # what is lower is no miss among a thousand pairs, and hardly measured
        axes.grid(visible=True, which="major", alpha=0.3)
        axes.legend(frameon=False)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def roc(curve: Sequence[tuple[float, float]]) -> str:
    """Return an SVG of the ROC curve through points (FMR, FNMR). Raises BadInput(plots-missing)."""
    require()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(5.2, 4.2), layout="constrained")
        axes = figure.add_subplot()
        axes.semilogx([max(a, 1e-9) for a, _ in curve], [1 - b for _, b in curve], color=_MATED)
        axes.set_xlabel("false match rate (FMR)")
        axes.set_ylabel("true match rate (1 - FNMR)")
        axes.set_ylim(0, 1.02)
        axes.grid(visible=True, which="major", alpha=0.3)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
