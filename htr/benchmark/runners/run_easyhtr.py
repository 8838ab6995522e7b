"""easyhtr finds the words of single lines and reads each."""

from __future__ import annotations

from functools import partial
from importlib import resources

import cv2
import numpy as np
import onnxruntime
from serve import Runner, model, serve, versions

# Its finder of words knows pages at 75 dpi. On ten train lines of IAM, 24 read best of 24 to 64.
HEIGHT = 24  # of a line where words are looked for, in pixels


def load(threads: int, language: str) -> Runner:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # It loads its models when it is imported, and has no option for threads.
    onnxruntime.InferenceSession = partial(onnxruntime.InferenceSession, sess_options=options)
    from htr_pipeline import DetectorConfig, read_page

    def read(picture: np.ndarray) -> str:
        try:
            lines = read_page(picture, DetectorConfig(scale=min(1, HEIGHT / len(picture))))
        except ValueError as error:
            if "0 sample" not in str(error):
                raise
            return ""  # it stumbles where it finds no words
        return " ".join(word.text for line in lines for word in line)

    models = resources.files("htr_pipeline") / "models"
    facts = {
        "versions": versions("easyhtr", "onnxruntime", "opencv-python", "scikit-learn", "numpy"),
        "models": [model(models / "detector.onnx"), model(models / "reader.onnx")],
        "notes": f"writes capitals, digits, ' ’ and - only; words are looked for at a line height of {HEIGHT} pixels",
    }
    return Runner(lambda file: cv2.imread(file, cv2.IMREAD_GRAYSCALE), read, facts)


if __name__ == "__main__":
    serve(load)
