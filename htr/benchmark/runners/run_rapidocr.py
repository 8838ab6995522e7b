"""RapidOCR reads single lines."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import rapidocr
from serve import Runner, model, serve, versions

# The one model for reading that the wheel holds, and the default. Its 18,708 characters have all Latin letters.
MODEL = Path(rapidocr.__file__).parent / "models" / "PP-OCRv6_rec_small.onnx"


def load(threads: int, language: str) -> Runner:
    options = {
        "Global.use_det": False,
        "Global.use_cls": False,
        "Global.log_level": "error",
        "Rec.model_path": str(MODEL),  # a model that is named is not downloaded
        "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    }
    engine = rapidocr.RapidOCR(params=options)

    def read(picture: np.ndarray) -> str:
        return " ".join(engine(picture).txts or ())

    read(np.full((48, 320, 3), 255, np.uint8))  # the model is loaded by the first line
    facts = {
        "versions": versions("rapidocr", "onnxruntime", "opencv-python-headless", "numpy"),
        "models": [model(MODEL)],
        "notes": "lines as they are, one at a time: no detection, no classifier of the angle",
    }
    return Runner(cv2.imread, read, facts)


if __name__ == "__main__":
    serve(load)
