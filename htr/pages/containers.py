"""What reading hands on: a page and its lines."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Line:
    """One line that was read.

    Attributes:
        text: what it says; empty where nothing could be read.
        confidence: how sure the reading is, 0 to 1.
        box: left, top, right and bottom in pixels of the file; right and bottom lie just outside of it.
    """

    text: str
    confidence: float
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Page:
    """One picture that was read.

    Attributes:
        width, height: of the picture, in pixels.
        lines: in reading order.
        file: where the picture came from, if from a file.
        notes: what a person should know of the reading, such as parts that were left out.
    """

    width: int
    height: int
    lines: list[Line]
    file: str | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text of all lines, one below the other."""
        return "\n".join(line.text for line in self.lines)
