"""An invisible mark in the luma of every frame that is written: keyed, with 64 bits of payload.

`Watermark(payload).embedder(size).embed(frames)` lays it on; `Detector(size)` takes decoded frames
in order with `add` and tests for it with `read`. `Stamp` says what the payload means.
"""

from likeness.provenance.watermark.detect import Detector
from likeness.provenance.watermark.mark import PUBLIC_KEY, Embedder, Watermark
from likeness.provenance.watermark.search import LEVEL, WatermarkReading
from likeness.provenance.watermark.stamp import Stamp

__all__ = ["LEVEL", "PUBLIC_KEY", "Detector", "Embedder", "Stamp", "Watermark", "WatermarkReading"]
