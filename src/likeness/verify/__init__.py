"""Tell what a file says of itself, which mark it carries, and which signs of forgery it shows."""

from likeness.verify.report import write_report
from likeness.verify.signal import Curve, Scene, Signal, SignalReading
from likeness.verify.signals import SIGNALS
from likeness.verify.verification import Verification, verify_file

__all__ = [
    "SIGNALS",
    "Curve",
    "Scene",
    "Signal",
    "SignalReading",
    "Verification",
    "verify_file",
    "write_report",
]
