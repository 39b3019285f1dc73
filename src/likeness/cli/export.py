"""`likeness export`: a bundle's generator for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from likeness.cli.options import (
    Options,
    Output,
    consents,
    prove_files,
)
from likeness.config import to_json

EXAMPLE = "Example: likeness export anna_as_ben.bundle -o anna_as_ben.dfm"


def export(
    bundle: Path,
    /,
    *,
    output: Output,
    consent: tuple[Path, ...] = (),
    options: Options = Options(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Write a generator as ONNX with named inputs, checked against torch in onnxruntime.

    One-to-one swaps, SimSwap and portraits become NAME.onnx; one-to-one swaps also NAME.dfm. The
    file holds the network alone: other programs cut the crop, paste the result, and mark it as
    synthetic themselves.

    Args:
        bundle: The NAME.bundle folder.
        output: The file to write; its ending chooses the format.
        consent: Newer records of the people shown than those in the bundle. Repeat it.
    """
    from likeness.export import export as write
    from likeness.store import load_bundle

    prove_files((output,), (bundle, *consent), options)
    records = consents(consent)
    facts: Mapping[str, Any] = to_json(write(load_bundle(bundle), output, consents=records))
    return facts
