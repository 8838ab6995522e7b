"""Tesseract reads single lines."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import tesserocr
from PIL import Image
from serve import Runner, model, serve, versions


def load(threads: int, language: str) -> Runner:
    # Tesseract's API, not its command, which loads the model anew for each line: that takes several times as long as
    # reading it, to the same text on lines tried. The wheel is built without OpenMP, so there is one thread.
    folder = _folder()
    if not (folder / f"{language}.traineddata").exists():
        raise ValueError(f"{folder} has no {language}.traineddata, which comes with tesseract-ocr-{language}")
    api = tesserocr.PyTessBaseAPI(path=str(folder), lang=language, psm=tesserocr.PSM.SINGLE_LINE)

    def read(picture: Image.Image) -> str:
        api.SetImage(picture)
        return " ".join(api.GetUTF8Text().split())

    facts = {
        "versions": {**versions("tesserocr", "pillow"), "tesseract": tesserocr.tesseract_version().split()[1]},
        "models": [model(folder / f"{language}.traineddata")],
        "notes": "psm 7; one thread whatever is asked for; the model is loaded once",
    }
    return Runner(lambda file: Image.open(file).convert("L"), read, facts)


def _folder() -> Path:
    """Where the command has its languages, for the wheel has none."""
    listed = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, check=True).stdout
    if not (quoted := re.search('"(.+)"', listed)):
        raise ValueError("tesseract --list-langs names no folder")
    return Path(quoted[1])


if __name__ == "__main__":
    serve(load)
