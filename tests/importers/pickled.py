"""Checkpoints as their publishers save them: whole modules, persistent objects, model folders."""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

State = Mapping[str, torch.Tensor]


def foreign_module(patch: pytest.MonkeyPatch, name: str, **content: Any) -> types.ModuleType:
    """Put a module in place that only exists on the publisher's machine."""
    module = types.ModuleType(name)
    for key, value in content.items():
        setattr(module, key, value)
        value.__module__, value.__qualname__ = name, key
    package, _, _ = name.rpartition(".")
    if package:
        patch.setitem(sys.modules, package, types.ModuleType(package))
    patch.setitem(sys.modules, name, module)
    return module


def module_of(state: State, root: Callable[[], nn.Module], part: Callable[[], nn.Module]) -> Any:
    """Build a tree of modules that has this state dict."""
    whole = root()
    for key, tensor in state.items():
        *path, leaf = key.split(".")
        owner = whole
        for step in path:
            if step not in owner._modules:
                owner.add_module(step, part())
            owner = owner._modules[step]  # type: ignore[assignment]
        if tensor.is_floating_point() and "running" not in leaf:
            owner.register_parameter(leaf, nn.Parameter(tensor.clone()))
        else:
            owner.register_buffer(leaf, tensor.clone())
    return whole


def simswap_identity(patch: pytest.MonkeyPatch, state: State) -> nn.Module:
    """SimSwap's recognizer as the module that its file holds."""
    root = type("ResNet", (nn.Module,), {})
    part = type("IRBlock", (nn.Module,), {})
    foreign_module(patch, "models", ResNet=root, IRBlock=part)
    module: nn.Module = module_of(state, root, part)
    return module


def persistent(patch: pytest.MonkeyPatch, *states: State) -> list[nn.Module]:
    """Generators as NVIDIA's persistence writes them: class source and state."""

    def _reconstruct_persistent_obj(meta: Mapping[str, Any]) -> None:
        raise AssertionError("a foreign class was brought to life")

    class EasyDict(dict[str, Any]):
        pass

    def reduce(self: nn.Module) -> tuple[Any, ...]:
        meta = {
            "type": "class",
            "version": 6,
            "module_src": "raise SystemExit('foreign code ran')",
            "class_name": "Generator",
            "state": {**self.__dict__, "_init_args": (), "_init_kwargs": EasyDict(z_dim=8)},
        }
        return _reconstruct_persistent_obj, (meta,)

    foreign_module(
        patch,
        "torch_utils.persistence",
        _reconstruct_persistent_obj=_reconstruct_persistent_obj,
    )
    foreign_module(patch, "dnnlib.util", EasyDict=EasyDict)
    generator = type("Generator", (nn.Module,), {"__reduce__": reduce})
    return [module_of(state, generator, generator) for state in states]


def saehd(folder: Path, state: State, archi: str | None, name: str = "anna") -> Path:
    """Write a DeepFaceLab model folder."""
    folder.mkdir(exist_ok=True)
    parts: dict[str, dict[str, Any]] = {}
    for key, tensor in state.items():
        part, _, rest = key.partition("/")
        parts.setdefault(part, {})[rest] = tensor.numpy()
    for part, arrays in parts.items():
        content = pickle.dumps(arrays, protocol=4)
        (folder / f"{name}_SAEHD_{part}.npy").write_bytes(content)
    if archi:
        options = {"archi": archi, "resolution": 64, "face_type": "wf", "random_warp": True}
        data = {"iter": 1000, "options": options, "loss_history": [[0.5, 0.4]]}
        (folder / f"{name}_SAEHD_data.dat").write_bytes(pickle.dumps(data, protocol=4))
    return folder
