"""What comes along with a file on its import: recognizers and converters that it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from likeness.errors import BundleError
from likeness.store.bundles import load_bundle
from likeness.types import Bundle, Weights

_PARTS = {
    "onnx_identity": "identity",
    "identity_iresnet": "identity",
    "identity_simswap": "identity",
    "onnx_converter": "converter",
}
"""What such a bundle may give, and what it is called in the new one."""


@dataclass(frozen=True, eq=False)
class Beside:
    """Bundles that come along."""

    bundles: tuple[Bundle, ...] = ()

    @staticmethod
    def load(paths: Sequence[Path]) -> Beside:
        """Read them.

        Raises:
            BundleError: one of them is no bundle, or damaged.
        """
        return Beside(tuple(load_bundle(path) for path in paths))

    @property
    def networks(self) -> list[Weights]:
        """All their networks."""
        return [weights for bundle in self.bundles for weights in bundle.networks.values()]

    @property
    def code_map(self) -> torch.Tensor | None:
        """The map of codes of an inswapper among them."""
        for weights in self.networks:
            if weights.network == "onnx_swap" and "emap" in weights.tensors:
                return weights.tensors["emap"]
        return None

    @property
    def commercial(self) -> bool:
        """Whether the terms of all of them allow commercial use."""
        return all(bool(told.get("commercial_use", False)) for told in self._imported())

    def parts(self, adapter: str = "") -> dict[str, Weights]:
        """Return recognizers and converters by what they are called in a bundle.

        Args:
            adapter: `space` of a second recognizer.
        """
        found: dict[str, Weights] = {}
        for weights in self.networks:
            name = _PARTS.get(weights.network)
            if name == "identity" and adapter and weights.config.get("space") == adapter:
                name = "adapter"
            if name is not None:
                found[name] = weights
        return found

    def joined(self, bundle: Bundle, adapter: str = "", *, wanted: bool = False) -> Bundle:
        """Make them part of an imported bundle; its license and record say so.

        Args:
            bundle: just imported.
            adapter: `space` of a second recognizer.
            wanted: whether commercial use was asked for.

        Raises:
            BundleError: it was, and one of these does not allow it.
        """
        if not self.bundles:
            return bundle
        imported: Mapping[str, Any] = bundle.training["imported"]
        commercial = bool(imported["commercial_use"]) and self.commercial
        if wanted and not commercial:
            raise BundleError(
                "a bundle that comes along with --with does not allow commercial use; leave it or "
                "--commercial out"
            )
        files = dict(imported["files"])
        for told in self._imported():
            files |= told.get("files", {})
        licenses = dict.fromkeys([bundle.license, *(other.license for other in self.bundles)])
        return replace(
            bundle,
            networks={**bundle.networks, **self.parts(adapter)},
            training={
                **bundle.training,
                "imported": {**imported, "files": files, "commercial_use": commercial},
            },
            license="; ".join(licenses),
        )

    def _imported(self) -> list[Mapping[str, Any]]:
        return [bundle.training.get("imported", {}) for bundle in self.bundles]
