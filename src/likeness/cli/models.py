"""`likeness models`: bundles with what they are, where they come from and who is shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from likeness.cli.options import Options, Output, prove_files

EXAMPLE = "Example: likeness models info anna.bundle"

app = App(name="models", help="Models on disk: list them, look into one, import published ones.")


@app.command(name="list", help_epilogue="Example: likeness models list portraits/")
def list_(
    folder: Path = Path(),
    /,
    *,
    options: Options = Options(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """List the bundles in a folder, the face models at hand, and what can be imported.

    Args:
        folder: Where to look, one level deep.
    """
    from likeness.errors import BundleError
    from likeness.importers.kinds import KINDS
    from likeness.importers.swap_families import SWAPS
    from likeness.store import load_face_model, read_bundle_index

    if not folder.is_dir():
        raise BundleError(f"{folder} is no folder; expected one in which bundles lie")
    bundles: dict[str, Any] = {}
    for path in sorted(folder.glob("*/bundle.json")):
        try:
            index = read_bundle_index(path.parent)
        except BundleError as error:
            bundles[path.parent.name] = {"error": str(error)}
            continue
        commercial = index.training.get("imported", {}).get("commercial_use")
        bundles[path.parent.name] = {
            "method": index.method,
            "license": index.license,
            **({} if commercial is None else {"commercial_use": commercial}),
        }
    model = load_face_model()
    size = f"{len(model.mean)} vertices, {len(model.expression_names)} expressions"
    published = {
        name: {"about": kind.about, "method": kind.method, "license": kind.license.name}
        for name, kind in KINDS.items()
    }
    return {
        "bundles": bundles,
        "face_models": {model.name: f"comes with likeness, {size}"},
        "can_import": published,
        "onnx_families": {
            name: {"about": f.about, "published": f.published, "license": f.license.name}
            for name, f in SWAPS.items()
        },
    }


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
            **({"input": index.input[name]} if name in index.input else {}),
        }
    imported = index.training.get("imported", {})
    told = ("about", "uses", "commercial_use")
    return {
        "bundle": bundle,
        "format": index.format,
        "method": index.method,
        "license": index.license,
        **{key: imported[key] for key in told if key in imported},
        "people": index.people,
        "networks": networks,
        **({} if imported else {"input": index.input}),
        "training": index.training,
        "target": loaded.shot.clip.path.name if loaded.shot else None,
        "versions": index.versions,
    }


@app.command(
    name="import",
    help_epilogue="Example: likeness models import simswap latest_net_G.pth -o simswap.bundle",
)
def import_(
    kind: str,
    file: Path,
    /,
    *,
    output: Output,
    commercial: bool = False,
    license: str = "",  # noqa: A002  # what the flag is called
    archi: str | None = None,
    space: Literal["unit", "imagenet"] | None = None,
    family: str | None = None,
    with_: Annotated[tuple[Path, ...], Parameter(name="--with", negative="")] = (),
    probe: Path | None = None,
    options: Options = Options(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Turn a published checkpoint into a bundle, without running anything in it.

    Args:
        kind: simswap, arcface, faceshifter, stylegan2, e4e, bisenet, dfl or onnx.
        file: The file as its publisher wrote it; for dfl the model folder.
        output: The NAME.bundle folder to write.
        commercial: Refuse models whose license does not allow commercial use.
        license: Terms that you hold the file under, where they are not the publisher's.
        archi: dfl without its data.dat: the architecture, such as liae-ud.
        space: simswap from the later training code: imagenet; the released files: unit.
        family: onnx: the family that the file is of, where it looks like several; the message that
            asks for it lists them.
        with_: A bundle that a swap network needs, and that becomes part of it: its recognizer, a
            converter of codes, an inswapper for its map; repeat it for several.
        probe: onnx: a photo of a face on which families that look alike are tried; by default an
            actor, which is nobody's face.
    """
    from likeness.importers.checkpoints import import_checkpoint
    from likeness.importers.published import ImportConfig
    from likeness.store import save_bundle

    how = ImportConfig(commercial, license, archi, space, family, probe, tuple(with_))
    bundle = import_checkpoint(kind, file, how)
    save_bundle(bundle, output)
    networks = {
        name: {"network": weights.network, "config": weights.config}
        for name, weights in bundle.networks.items()
    }
    return {
        "output": output,
        "method": bundle.method,
        "license": bundle.license,
        **bundle.training["imported"],
        "networks": networks,
    }


@app.command(
    help_epilogue="Example: likeness models directions faces.bundle --sefa 6 --sheet look.png",
)
def directions(
    bundle: Path,
    /,
    *,
    from_labels: Path | None = None,
    sefa: int = 0,
    pca: int = 0,
    add: tuple[Path, ...] = (),
    aligned: bool = False,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    sheet: Path | None = None,
    options: Options = Options(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Find ways to move a face generator's codes, and keep them in its bundle.

    Args:
        bundle: The NAME.bundle of a face generator.
        from_labels: A table (.csv): a column file (pictures, relative to the table) or seed
            (samples of the generator), and a column of numbers for each label.
        sefa: So many directions by closed-form factorization, StyleGAN alone.
        pca: So many principal axes of the generator's codes.
        add: A published direction (.npy, .pt, .safetensors). Repeat it.
        aligned: Labelled pictures are squares that are laid like FFHQ's already.
        output: Where to write the bundle with its directions. [default: the bundle itself]
        sheet: A picture (.png) to choose from: each direction on two faces.
    """
    from likeness.verbs.directions import Wanted, add_directions

    prove_files([sheet], [from_labels, *add], options)
    wanted = Wanted(from_labels, sefa, pca, add, aligned)
    found = add_directions(bundle, wanted, output, sheet)
    return {"output": output or bundle, "directions": found, "sheet": sheet}
