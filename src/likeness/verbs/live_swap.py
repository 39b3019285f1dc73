"""Who lends the face in a live swap, and that everybody agreed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from likeness.decode.camera import NOWHERE
from likeness.errors import BundleError
from likeness.methods.swap.photos import find_photos
from likeness.methods.swap.source import photos_bundle
from likeness.people import face_like
from likeness.plan.live import LivePlan
from likeness.provenance.consent import Consent
from likeness.provenance.manifest import Ingredient
from likeness.provenance.permission import Material, Permission, permit
from likeness.types import Bundle, Clip
from likeness.verbs.swap_source import PORTRAIT, Source


def permit_live_swap(
    source: Source, targets: Sequence[Material], consents: Sequence[Consent]
) -> Permission:
    """Permit that a source lends a face to whoever comes before the camera, or refuse.

    Args:
        source: who lends it.
        targets: the file that plays as the camera, or what stands for somebody unknown; empty asks
            the source alone, before a camera is opened.
        consents: the records at hand.

    Raises:
        ConsentError: somebody did not agree.
    """
    return permit("swap", consents, lenders=source.lenders, sources=source.clips, targets=targets)


def lent(
    source: Source,
    face: str | None,
    permission: Permission,
    camera: Clip,
    target: Sequence[Ingredient],
) -> tuple[Bundle, LivePlan, Permission]:
    """Look at a source, and plan to lay its face into the camera's own frames.

    Args:
        source: who lends it.
        face: whose face in photos that show several.
        permission: who agreed.
        camera: what the camera shows, as facts.
        target: the file that plays as the camera, if one does.

    Raises:
        BundleError: the source is a clip.
        TrackError, MediaError: its photos are not usable.
    """
    bundle, name = source.bundle, source.path.name
    if bundle is None and source.method == PORTRAIT:
        raise BundleError(
            f"{name} is a clip, from which a portrait is learned first: `likeness train reenact "
            f"{name} -o NAME.bundle`; then give that bundle, or a photo"
        )
    if bundle is None:
        photos = find_photos(source.clips, face, face_like(face))
        bundle = photos_bundle(source.method, photos, permission.of("source"))
    like = replace(camera, path=NOWHERE, audio=())
    return bundle, LivePlan("swap", like, None, (*source.ingredients, *target)), permission
