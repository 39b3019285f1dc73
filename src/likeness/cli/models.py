"""`likeness models`: bundles with what they are, where they come from and who is shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cyclopts import App

from likeness.cli.options import Options

EXAMPLE = "Example: likeness models info anna.bundle"

app = App(name="models", help="Trained models on disk: list them, look into one.")


@app.command(name="list", help_epilogue="Example: likeness models list portraits/")
def list_(
    folder: Path = Path(),
    /,
    *,
    options: Options = Options(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """List the bundles in a folder and the face models that come with likeness.

    Args:
        folder: Where to look, one level deep.
    """
    from likeness.errors import BundleError
    from likeness.store import load_face_model, read_bundle_index

    bundles: dict[str, Any] = {}
    for path in sorted(folder.glob("*/bundle.json")):
        try:
            index = read_bundle_index(path.parent)
        except BundleError as error:
            bundles[path.parent.name] = {"error": str(error)}
            continue
        bundles[path.parent.name] = {"method": index.method, "license": index.license}
    model = load_face_model()
    size = f"{len(model.mean)} vertices, {len(model.expression_names)} expressions"
    return {"bundles": bundles, "face_models": {model.name: f"comes with likeness, {size}"}}


@app.command(help_epilogue=EXAMPLE)
def info(
    bundle: Path,
    /,
    *,
    options: Options = Options(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Show a bundle's method, networks with sha256, license, people and training record.

    Args:
        bundle: The NAME.bundle folder. Every file is checked against its digest.
    """
    from likeness.store import load_bundle, read_bundle_index

    index = read_bundle_index(bundle)
    loaded = load_bundle(bundle)
    networks = {}
    for name, record in index.networks.items():
        tensors = loaded.networks[name].tensors.values()
        networks[name] = {
            "network": record.network,
            "config": record.config,
            "parameters": sum(tensor.numel() for tensor in tensors),
            "sha256": record.weights.sha256,
        }
    return {
        "bundle": bundle,
        "format": index.format,
        "method": index.method,
        "license": index.license,
        "people": index.people,
        "networks": networks,
        "input": index.input,
        "training": index.training,
        "target": loaded.shot.clip.path.name if loaded.shot else None,
        "versions": index.versions,
    }
