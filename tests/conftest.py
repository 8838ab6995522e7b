"""What several tests need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from standin import make_iam

from htr import cli
from htr.corpora.embedded import embedded_lines

cli.keep_kernels()

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_iam() -> Path:
    """The real IAM lines that lie beside the project on some machines."""
    folder = SHARED / "iam"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: real IAM lines are needed")
    return folder


@pytest.fixture(scope="session")
def iam_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small database in IAM's official layout: 2 train forms, 1 val form, 1 test form of 12 drawn lines each."""
    folder = tmp_path_factory.mktemp("iam")
    make_iam(folder, {"train": 2, "val": 1, "test": 1}, lines=12)
    return folder


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable:
    """Runs a command line's main function with some words; returns exit code, stdout and stderr."""

    def run(main: Callable[[], int | None], *words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", [main.__module__, *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            cli.run(main)
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return stopped.value.code, out, err

    return run


@pytest.fixture
def tiny_config(iam_folder: Path, tmp_path: Path) -> list[str]:
    """Values of a training run of a second or two."""
    return [
        f"run={tmp_path / 'run'}", f"data=iam:{iam_folder}", "drawn={}", "encoder=lcnet_035", "pretrained=none", "height=32",
        "lstm_layers=1", "lstm_units=16", "neck_channels=16", "batch_pixels=100000", "workers=0", "epochs=2",
        "trainer.enable_progress_bar=false",
    ]  # fmt: skip


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """Two dozen pictures of lines on three pages."""
    for number, sample in enumerate(embedded_lines("train", 24)):
        folder = tmp_path / "letters" / f"page{number // 8}"
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{number}.png"), sample.image())
    return tmp_path / "letters"
