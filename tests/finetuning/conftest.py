"""What several tests of fine-tuning need."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from htr.corpora.embedded import embedded_lines


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """Two dozen pictures of lines on three pages."""
    for number, sample in enumerate(embedded_lines("train", 24)):
        folder = tmp_path / "letters" / f"page{number // 8}"
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{number}.png"), sample.image())
    return tmp_path / "letters"
