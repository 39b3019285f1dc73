"""Whose face a swap shows, and by which method, before anything is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from likeness import config as settings
from likeness.errors import BundleError, ConfigError
from likeness.methods.protocol import Recipe
from likeness.methods.swap.photos import open_photos
from likeness.methods.swap.published import PublishedConfig, with_parts
from likeness.methods.table import METHODS
from likeness.provenance.consent import Consent
from likeness.provenance.manifest import Ingredient, sha256_of
from likeness.provenance.permission import Permission, permit
from likeness.store import load_bundle
from likeness.types import Bundle, Clip
from likeness.verbs.given import clip_of

PORTRAIT = "swap.portrait"


@dataclass(frozen=True)
class Source:
    """Who lends the identity, before anything is looked at."""

    path: Path
    method: str
    """Key of the method table."""
    clips: tuple[Clip, ...]
    """What is looked at; empty where a bundle holds everything."""
    bundle: Bundle | None
    """What is opened, as far as it is known already."""

    @property
    def lenders(self) -> Sequence[Mapping[str, Any]]:
        """The people of a bundle who lend their identity: its sources, where it names any."""
        if self.bundle is None or self.clips:
            return ()
        # One that names nobody, such as an imported model, asks for a record all the same.
        people = self.bundle.people or ({"role": "source"},)
        # A one-to-one swap names its target, too, who is asked by the clip that is changed.
        return tuple(p for p in people if p.get("role") == "source") or people

    @property
    def recipe(self) -> Recipe:
        """How the method is opened."""
        return METHODS[self.method]

    @property
    def ingredients(self) -> tuple[Ingredient, ...]:
        """What manifests name."""
        if self.path.suffix == ".bundle":
            return (Ingredient("bundle", self.path.name, sha256_of(self.path / "bundle.json")),)
        return tuple(Ingredient("source", clip.path.name, clip.digest) for clip in self.clips)


def swap_methods() -> dict[str, str]:
    """Return the swap methods by their short names."""
    return {key.partition(".")[2]: key for key in METHODS if key.startswith("swap.")}


def open_source(
    path: Path,
    method: str | None,
    recognizers: Sequence[Path] = (),
    published: PublishedConfig | None = None,
) -> Source:
    """Open what a source is, and decide by which method it is shown.

    Args:
        path: photo, folder of photos, clip, NAME.shot or NAME.bundle.
        method: short name of a method, a NAME.bundle of a network that swaps any face, or None.
        recognizers: bundles of what that network knows the source by, where it lacks them.
        published: settings of such a network.

    Raises:
        ConfigError: no such method, or one that such a source can't feed.
        BundleError, MediaError: the source cannot be read.
    """
    known = swap_methods()
    if path.suffix == ".bundle":
        bundle = load_bundle(path)
        key = PORTRAIT if bundle.method.startswith("reenact.") else bundle.method
        if key not in known.values():
            raise BundleError(
                f"{path.name} is of method {bundle.method!r}; expected a portrait, or a bundle of "
                "`likeness train swap`"
            )
        if method is not None and known.get(method) != key:
            raise ConfigError(
                f"{path.name} is shown by {key.partition('.')[2]}, and --method {method} was asked "
                "for; leave the flag out, or give photos or a clip"
            )
        return Source(path, key, (), _set(bundle, published))
    clips = open_photos(path) if path.suffix != ".shot" else (clip_of(path),)
    if method is not None and method.endswith(".bundle"):
        network = load_bundle(Path(method))
        if network.method not in known.values():
            raise BundleError(f"{method} is of method {network.method!r}; expected one that swaps")
        network = with_parts(network, [load_bundle(recognizer) for recognizer in recognizers])
        return Source(path, network.method, clips, _set(network, published))
    moving = len(clips) == 1 and len(clips[0]) > 1
    chosen = method or ("portrait" if moving else "photo")
    if chosen not in known:
        raise ConfigError(f"method is {chosen!r}; expected one of {', '.join(known)}, or a bundle")
    key = known[chosen]
    if key == PORTRAIT and not moving:
        raise ConfigError(
            f"a portrait is learned from a clip, and {path.name} is none; leave --method out to "
            "swap by photo, or give a minute of footage"
        )
    if METHODS[key].parts and key != PORTRAIT:
        raise ConfigError(
            f"{chosen} is learned first: `likeness train swap`; then give its NAME.bundle"
        )
    return Source(path, key, clips, None)


def _set(bundle: Bundle, published: PublishedConfig | None) -> Bundle:
    """Give a published network its settings."""
    if published is None or not isinstance(METHODS[bundle.method].settings, PublishedConfig):
        return bundle
    return replace(bundle, training={**bundle.training, "settings": settings.to_json(published)})


def permit_swap(sources: Sequence[Source], target: Clip, consents: Sequence[Consent]) -> Permission:
    """Permit that sources lend their faces and that the people of a clip are changed, or refuse.

    Raises:
        ConsentError: somebody did not agree.
    """
    return permit(
        "swap",
        consents,
        lenders=[person for source in sources for person in source.lenders],
        sources=[clip for source in sources for clip in source.clips],
        targets=(target,),
    )
