"""The plots of reports and studies: SVG pictures, drawn from results, in colours that the colour-blind tell apart."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from htr.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# After Okabe and Ito, "Color universal design" (2008); and marks for those who see no colours.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#000000", "#cc79a7", "#56b4e9", "#e69f00")
_MARKS = "osD^vPX"

DISTINCT = len(_COLOURS)
"""Lines of one picture that are told apart by their colours."""

# Characters that a legend's row has room for, those that the mark before a name takes, and rows that fit below the axes.
_LEGEND, _MARK, _ROWS = 65, 6, 4


def require_plots() -> None:
    """To be called before long work of which plots are drawn.

    Raises:
        InputError: Matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise InputError("plots need matplotlib; install it with `pip install 'htr[report]'`")


class Plot:
    """A picture with one pair of axes.

    Args:
        x, y: what is along the axes, with units; a linear axis of values begins at 0.

    Attributes:
        axes: of Matplotlib, to draw on.
    """

    def __init__(self, x: str, y: str) -> None:
        import matplotlib
        from matplotlib.figure import Figure

        # The same results give the same file. Names of collections are no formulas.
        self._style = {
            "svg.hashsalt": "htr", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 11, "text.parse_math": False,
        }  # fmt: skip
        with matplotlib.rc_context(self._style):
            self._figure = Figure((5.6, 3.8), layout="constrained")
            self.axes: Axes = self._figure.add_subplot()
        self.axes.set_xlabel(x)
        self.axes.set_ylabel(y)
        self.axes.grid(alpha=0.3)
        self.axes.set_axisbelow(True)
        self.axes.spines[["top", "right"]].set_visible(False)
        self._drawn = 0
        self._ranked = False

    def line(
        self, x: Sequence[float], y: Sequence[float], label: str, low: Sequence[float] = (), high: Sequence[float] = ()
    ) -> None:
        """Draws points that belong together, each with the reach from low to high where these are given."""
        reach: Any = [[b - a for a, b in zip(low, y)], [b - a for a, b in zip(y, high)]] if low else None
        # Once all colours are used, each comes again with another mark.
        mark = (self._drawn + self._drawn // len(_COLOURS)) % len(_MARKS)
        self.axes.errorbar(
            x,
            y,
            reach,
            color=self._colour(),
            marker=_MARKS[mark],
            markersize=5,
            capsize=3,
            label=f"\u200b{label}" if label.startswith("_") else label,  # which Matplotlib would not name
        )
        self._drawn += 1

    def bars(self, values: Sequence[float]) -> None:
        """Draws upright bars, numbered from 1 on."""
        self.axes.bar(range(1, len(values) + 1), values, color=self._colour())
        step = 5 * max(1, len(values) // 50)
        self.axes.set_xticks([1, *range(step, len(values) + 1, step)])
        self._drawn += 1

    def ranked(
        self, names: Sequence[str], values: Sequence[float], low: Sequence[float], high: Sequence[float]
    ) -> None:
        """Draws a level bar for each name, the lowest on top, with its reach from low to high; the first name's is another colour."""
        order = sorted(range(len(names)), key=lambda index: values[index])
        places = range(len(names))
        self.axes.barh(
            places,
            [values[index] for index in order],
            xerr=[
                [values[index] - low[index] for index in order],
                [high[index] - values[index] for index in order],
            ],
            color=[_COLOURS[index == 0] for index in order],
            error_kw={"capsize": 2},
        )
        self.axes.set_yticks(places, [names[index] for index in order])
        self.axes.invert_yaxis()
        self._figure.set_figheight(1.0 + 0.26 * len(names))
        self._ranked = True

    def counted_on_a_logarithmic_scale(self, counts: Sequence[int]) -> None:
        """Sets the x axis for these numbers, and says so."""
        self.axes.set_xlabel(f"{self.axes.get_xlabel()} (logarithmic)")
        self.axes.set_xscale("log")
        self.axes.set_xticks(counts, [f"{count:,}" for count in counts])
        self.axes.minorticks_off()

    def svg(self) -> str:
        """The picture; with a legend if several things with names are drawn."""
        import matplotlib

        with matplotlib.rc_context(self._style):
            names = self.axes.get_legend_handles_labels()[1]
            if len(names) > 1:
                columns = min(max(_LEGEND // (_MARK + max(map(len, names))), 1), 3)
                # A long legend would leave the axes no room.
                more = max(-(-len(names) // columns) - _ROWS, 0)
                self._figure.set_figheight(self._figure.get_figheight() + 0.24 * more)
                self._figure.legend(frameon=False, loc="outside lower center", ncols=columns)
            if not self._ranked and self.axes.get_yscale() == "linear":
                self.axes.set_ylim(0, 1.03 * self.axes.get_ylim()[1])
            picture = io.StringIO()
            self._figure.savefig(picture, format="svg", metadata={"Date": None})
        return picture.getvalue()

    def _colour(self) -> str:
        return _COLOURS[self._drawn % len(_COLOURS)]
