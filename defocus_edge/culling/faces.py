"""Faces in pictures, by OpenCV's YuNet, whose model the user brings: none comes with the package."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge._quiet import QUIET_OPENCV
from defocus_edge.files.sidecars.box_tables import Box

# Longest side in px of the picture that the network sees: it knows faces of 10 to 300 px.
_SIDE = 640
# Least score of a face; OpenCV's 0.9 misses more of the faces that are out of focus, which are to be judged, too.
_LEAST_SCORE = 0.8
# Side in px of the flat picture that a model is tried on.
_TRIAL_SIDE = 64


class FaceFinder:
    """Finds faces with a model of YuNet.

    `model` is the content of its ONNX file. It is tried on a flat picture; a ValueError says that it is no such model.
    """

    def __init__(self, model: bytes) -> None:
        try:
            with QUIET_OPENCV:
                self._detector = cv2.FaceDetectorYN.create(
                    "onnx",
                    np.frombuffer(model, np.uint8),
                    np.empty(0, np.uint8),
                    (_TRIAL_SIDE, _TRIAL_SIDE),
                    _LEAST_SCORE,
                )
            self.find(np.zeros((_TRIAL_SIDE, _TRIAL_SIDE, 3), dtype=np.float32))
        except cv2.error as error:
            raise ValueError(f"no model of YuNet in ONNX ({' '.join(str(error).split())[:100]})") from error

    def find(self, image: NDArray[np.float32]) -> list[Box]:
        """Boxes of faces in an RGB picture in [0, 1], those with the best score first, cut at its sides."""
        height, width = image.shape[:2]
        scale = min(1.0, _SIDE / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
        pixels = np.ascontiguousarray(np.rint(255 * small).astype(np.uint8)[..., ::-1])
        with QUIET_OPENCV:
            self._detector.setInputSize(size)
            _, faces = self._detector.detect(pixels)
        found = []
        for column, row, across, down in [] if faces is None else (faces[:, :4] / scale).tolist():
            top, bottom = (int(np.clip(round(value), 0, height)) for value in (row, row + down))
            left, right = (int(np.clip(round(value), 0, width)) for value in (column, column + across))
            if bottom > top and right > left:
                found.append((top, left, bottom - top, right - left))
        return found
