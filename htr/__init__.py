"""htr reads handwriting.

import htr
reader = htr.load()
print(reader.read_page("page.png").text)
"""

from typing import TYPE_CHECKING, Any

from htr.errors import InputError
from htr.pages.containers import Line, Page

if TYPE_CHECKING:
    from htr.reader import Reader, load

__all__ = ["InputError", "Line", "Page", "Reader", "load"]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    # PyTorch takes seconds to load: only those who read pay for it, not `--help`.
    if name in ("Reader", "load"):
        from htr import reader
        from htr.cli import keep_kernels

        keep_kernels()
        return getattr(reader, name)
    raise AttributeError(f"module 'htr' has no attribute {name!r}")
