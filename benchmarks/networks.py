"""Measure every published network: milliseconds and peak memory, and what the fast path costs.

Run: python benchmarks/networks.py [--only NAME ...] [--variants eager fast] [--output DIR]

Each network and variant has a process of its own, so that peaks do not mix and one failure stops
nothing. Variants: `eager` is the network as it is built, float32; `folded` and `fast` are
`likeness.networks.prepared` in float32 and bfloat16; `compiled` is torch.compile of `fast`; `onnx`
is the exported file in onnxruntime, float32, where the network can be exported.

Weights are drawn so that features keep their size, as in trained networks. Pictures are brought to
the spread of a photograph (deviation 0.25) before differences are counted in 1/255. Differences of
codes are one minus the cosine, of regions the share of pixels that change.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from likeness.export import EXPORTS, export
from likeness.networks import NETWORKS, prepared
from likeness.types import Bundle, Weights

VARIANTS = ("eager", "folded", "fast", "compiled", "onnx")
SPREAD = 0.25
"""Deviation of a photograph's values."""
WARM_UP, SECONDS, RUNS = 2, 8.0, 30
"""Runs before counting; then as many as fit into the time, within 3 and RUNS."""

Inputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class Case:
    """A network at a published size, and how it is asked."""

    network: str
    config: Mapping[str, Any]
    shapes: tuple[tuple[int, ...], ...]
    """Of the inputs; vectors are brought to length 1."""
    kind: str
    """What the first output is: picture, code or regions."""
    ask: Callable[[nn.Module, Inputs], Tensor]


def first(network: nn.Module, inputs: Inputs) -> Tensor:
    """Ask with all inputs and take the first answer."""
    answer = network(*inputs)
    return answer[0] if isinstance(answer, tuple) else answer


def codes(network: nn.Module, inputs: Inputs) -> Tensor:
    """Ask an inversion network how far W+ is from the average, which hides what is rounded."""
    return network(*inputs).codes - network.average


def draw(network: nn.Module, inputs: Inputs) -> Tensor:
    """Ask StyleGAN2 for the picture with the wrinkles that are stored with it."""
    return network(inputs[0], network.synthesis.fixed_noise())


def picture(side: int) -> tuple[int, ...]:
    """Shape of one picture."""
    return (1, 3, side, side)


_WIDE = (512, 512, 512, 512, 512, 256, 128, 64, 32)
_PORTRAIT = ((1, 5, 4, 256, 256), (1, 24, 128, 128), (1, 98))
_SAEHD = {"size": 224, "normalized": True, "doubled": True, "inter": 256}
CASES: Mapping[str, Case] = {
    "simswap_224": Case("simswap", {}, (picture(224), (1, 512)), "picture", first),
    "simswap_512": Case(
        "simswap", {"widths": [32, 64, 128, 256, 512]}, (picture(512), (1, 512)), "picture", first
    ),
    "compact_128": Case("compact", {}, (picture(128), (1, 128)), "picture", first),
    "faceshifter_256": Case("faceshifter", {}, (picture(256), (1, 256)), "picture", first),
    "saehd_liae_ud_128": Case(
        "autoencoder", {**_SAEHD, "layout": "liae", "size": 128}, (picture(128),), "picture", first
    ),
    "saehd_liae_udt_224": Case(
        "autoencoder", {**_SAEHD, "layout": "liae", "deep": True}, (picture(224),), "picture", first
    ),
    "saehd_df_ud_224": Case(
        "autoencoder", {**_SAEHD, "layout": "df"}, (picture(224),), "picture", first
    ),
    "portrait_256": Case("portrait", {"keyframes": 5, "code": 98}, _PORTRAIT, "picture", first),
    "spacetime_256": Case("spacetime", {}, ((1, 99, 256, 256),), "picture", first),
    "stylegan2_256": Case("stylegan", {"widths": _WIDE[:7]}, ((1, 512),), "picture", draw),
    "stylegan2_1024": Case("stylegan", {"widths": _WIDE}, ((1, 512),), "picture", draw),
    "e4e_1024": Case("inversion", {}, (picture(256),), "code", codes),
    "bisenet_512": Case("regions", {}, (picture(512),), "regions", first),
    "arcface_simswap": Case("identity_simswap", {}, (picture(112),), "code", first),
    "dlib_identity": Case("identity_dlib", {}, (picture(150),), "code", first),
    "arcface_iresnet50": Case("identity_iresnet", {}, (picture(112),), "code", first),
    "arcface_iresnet100": Case(
        "identity_iresnet", {"depths": [3, 13, 30, 3]}, (picture(112),), "code", first
    ),
}


def build_case(case: Case) -> nn.Module:
    """Build a network with weights that keep features at their size."""
    from likeness import config

    network_class, config_class = NETWORKS[case.network]
    torch.manual_seed(0)  # each variant has a process of its own, and all the same weights
    network = network_class(config.resolve(config_class, case.config)).eval().requires_grad_(False)
    if case.network == "stylegan":
        return network  # its own start is made for that
    generator = torch.Generator().manual_seed(0)
    state = network.state_dict()
    for key, tensor in state.items():
        if not tensor.is_floating_point():
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        norm = key.removesuffix("weight") + "running_mean" in state
        if key.endswith("running_var"):
            value = 1 + 0.1 * noise.abs()
        elif tensor.ndim < 2:
            value = 0.1 * noise + (key.endswith("weight") * (1.0 if norm else 0.25))
        else:
            value = noise / tensor[0].numel() ** 0.5
        tensor.copy_(value)
    return network


def inputs_of(case: Case) -> Inputs:
    """Draw inputs: pictures in [0,1], vectors of length 1 (StyleGAN2 reads only directions)."""
    generator = torch.Generator().manual_seed(1)
    return tuple(
        torch.rand(shape, generator=generator)
        if len(shape) > 2
        else nn.functional.normalize(torch.randn(shape, generator=generator))
        for shape in case.shapes
    )


def asker(case: Case, variant: str, folder: Path) -> Callable[[Inputs], Tensor]:
    """Return the function that is timed."""
    network = build_case(case)
    if variant == "onnx":
        return _session(case, network, folder)
    if variant in ("fast", "compiled"):
        network = prepared(network)
    elif variant == "folded":
        network = prepared(network, torch.float32)
    elif case.network == "portrait":
        network = network.exact()
    if variant == "compiled":
        network.compile() if case.network != "stylegan" else network.synthesis.compile()
    return lambda inputs: case.ask(network, inputs)


def _session(case: Case, network: nn.Module, folder: Path) -> Callable[[Inputs], Tensor]:
    import onnxruntime

    weights = Weights(case.network, case.config, network.state_dict())
    path = export(Bundle("x", {"generator": weights}, {}, {}, ""), folder / "x.onnx", 1.0).output
    del network, weights
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def ask(inputs: Inputs) -> Tensor:
        given = {name: x.numpy() for name, x in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, given)[0])

    return ask


def measure(name: str, variant: str, answer: Path) -> dict[str, float]:
    """Time one variant in this process and write its answer as .npy."""
    case = CASES[name]
    inputs = inputs_of(case)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        ask = asker(case, variant, Path(folder))
        for _ in range(WARM_UP):
            out = ask(inputs)
        forget_peak()
        spent: list[float] = []
        while len(spent) < 3 or (sum(spent) < SECONDS and len(spent) < RUNS):
            start = time.perf_counter()
            out = ask(inputs)
            spent.append(time.perf_counter() - start)
    np.save(answer, out.float().numpy())
    return {
        "ms": 1000 * statistics.median(spent),
        "ms_best": 1000 * min(spent),
        "runs": len(spent),
        "peak_mb": peak_mb(),
        "parameters": sum(p.numel() for p in build_meta(case).parameters()),
    }


def build_meta(case: Case) -> nn.Module:
    """Build a network without memory, to count it."""
    from likeness import config

    network_class, config_class = NETWORKS[case.network]
    with torch.device("meta"):
        return network_class(config.resolve(config_class, case.config))


def forget_peak() -> None:
    """Let the peak of memory count from here on, where the system can."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def peak_mb() -> float:
    """Return the most memory that this process held, in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare(kind: str, exact: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Say how far a variant is from eager float32."""
    a, b = exact.astype(np.float64), other.astype(np.float64)
    if kind == "picture":
        error = 255 * np.abs(a - b) * SPREAD / a.std()
        return {"max": float(error.max()), "mean": float(error.mean())}
    if kind == "regions":
        return {"max": float((a.argmax(1) != b.argmax(1)).mean())}
    a, b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return {"max": float(1 - cosine.min())}


def run_apart(name: str, variant: str, answer: Path, threads: int) -> dict[str, Any]:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "--one", name, variant, str(answer)]
    run = subprocess.run(  # noqa: S603  # this file itself
        [*command, "--threads", str(threads)], capture_output=True, text=True, check=False
    )
    if run.returncode:
        return {"error": (run.stderr.strip().splitlines() or ["failed"])[-1][:200]}
    found: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
    return found


def measure_all(names: list[str], variants: list[str], threads: int) -> dict[str, Any]:
    """Measure networks one after the other; eager comes first and is what others are held to."""
    results: dict[str, Any] = {}
    for name in names:
        case, found = CASES[name], {}
        with tempfile.TemporaryDirectory() as folder:
            for variant in ["eager", *(v for v in variants if v != "eager")]:
                if variant == "onnx" and (case.network, ".onnx") not in EXPORTS:
                    continue
                answer = Path(folder) / f"{variant}.npy"
                found[variant] = run_apart(name, variant, answer, threads)
                if variant != "eager" and answer.exists():
                    exact = np.load(Path(folder) / "eager.npy")
                    found[variant] |= compare(case.kind, exact, np.load(answer))
                print(name, variant, json.dumps(found[variant]), file=sys.stderr, flush=True)
        results[name] = {"kind": case.kind, "variants": found}
    return results


def table(results: Mapping[str, Any]) -> str:
    """Return the results as one Markdown table."""
    lines = [
        "| network | parameters | variant | ms | times eager | peak MB | max error | mean error |",
        "|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    units = {"picture": "/255", "code": " (1 - cos)", "regions": " of pixels"}
    for name, result in results.items():
        eager = result["variants"]["eager"]
        for variant, found in result["variants"].items():
            if "error" in found:
                lines.append(f"| {name} | | {variant} | {found['error']} | | | | |")
                continue
            unit = units[result["kind"]]
            worst = f"{found['max']:.2g}{unit}" if "max" in found else "-"
            mean = f"{found['mean']:.2g}{unit}" if "mean" in found else "-"
            gain = f"{eager['ms'] / found['ms']:.2f}" if "ms" in eager else "-"
            lines.append(
                f"| {name} | {found['parameters'] / 1e6:.1f} M | {variant} | {found['ms']:.1f} | "
                f"{gain} | {found['peak_mb']:.0f} | {worst} | {mean} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print the table and write both forms of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, help="folder for networks.json and networks.md")
    parser.add_argument("--one", nargs=3, metavar=("NAME", "VARIANT", "ANSWER"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.one:
        name, variant, answer = given.one
        print(json.dumps(measure(name, variant, Path(answer))))
        return
    results = measure_all(given.only, given.variants, given.threads)
    machine = {
        "processor": platform.processor() or platform.machine(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": given.threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    print(table(results))
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        whole = {"machine": machine, "networks": results}
        (given.output / "networks.json").write_text(json.dumps(whole, indent=2) + "\n")
        (given.output / "networks.md").write_text(table(results))


if __name__ == "__main__":
    main()
