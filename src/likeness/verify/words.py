"""The findings as plain sentences: never that a file is real, at best that no sign was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.errors import ContractError
from likeness.provenance import COMPOSITE, RENDERED, SYNTHETIC
from likeness.provenance.watermark import Stamp
from likeness.verify.signals import CLEAR, WEAK, strength

if TYPE_CHECKING:
    from likeness.verify.verification import Verification

NO_PROOF = "That does not prove that it comes from a camera."
_SYNTHETIC = tuple(kind.rpartition("/")[2] for kind in (COMPOSITE, SYNTHETIC, RENDERED))


def headline(found: Verification) -> str:
    """Return the strongest thing that can be said, in one or two sentences."""
    manifest, score = found.manifest, found.score
    if manifest.valid and declares_synthetic(found):
        signer = f"signed by {manifest.signer}" if manifest.signer else "signed"
        trust = "trusted" if manifest.trusted else "no trusted root"
        return f"Marked as synthetic by its manifest ({signer}, {trust})."
    if found.watermark.present:
        altered = manifest.finding in ("content changed", "manifest changed")
        since = " It was altered after it was signed." if altered else ""
        return f"Synthetic: it carries this program's watermark.{since}"
    if declares_synthetic(found) or manifest.finding in ("stripped", "re-encoded"):
        return "It says of itself that it is synthetic, though its manifest is no longer whole."
    if score is None:
        return f"Nothing could be judged beyond its marks, and no mark was found. {NO_PROOF}"
    if score >= WEAK:
        names = [s.title.lower() for s in found.readings if s.score is not None and s.score >= WEAK]
        kind = "Clear" if score >= CLEAR else "Weak"
        return f"{kind} sign of manipulation ({', '.join(names)}). Look at what it was found in."
    return f"No sign found. {NO_PROOF}"


def declares_synthetic(found: Verification) -> bool:
    """Tell whether the manifest, whole or not, names a synthetic source."""
    stated = found.manifest.statement
    kinds = [*found.manifest.actions, stated.digital_source_type if stated else ""]
    return any(kind in text for text in kinds for kind in _SYNTHETIC)


def origin_sentence(found: Verification) -> str:
    """Say what the manifest tells."""
    manifest = found.manifest
    problems = " ".join(manifest.problems)
    if manifest.finding == "none":
        return f"No manifest and no trace of one. {problems}".strip()
    if manifest.valid:
        by = f" by {manifest.signer}" if manifest.signer else ""
        what = ", ".join(manifest.actions) or "no actions"
        trust = "leads to a trusted root" if manifest.trusted else "leads to no trusted root"
        return f"A valid manifest, signed{by}; the certificate {trust}. It states: {what}."
    return f"Manifest: {manifest.finding}. {problems}".strip()


def mark_sentence(found: Verification) -> str:
    """Say what the watermark tells."""
    mark, stamp = found.watermark, found.stamp
    if not mark.present:
        return f"No watermark of this program (p = {mark.p_value:.2g})."
    if stamp is None:
        return f"This program's watermark (p = {mark.p_value:.1e}); its payload cannot be read."
    when = stamp.created.strftime("%Y-%m-%d %H:%M UTC")
    said = f"This program's watermark (p = {mark.p_value:.1e}), laid on {when}, from {stamp.origin}"
    return f"{said}. {_agreement(found)}".strip()


def _agreement(found: Verification) -> str:
    """Compare the mark with a valid manifest of ours: a borrowed manifest names another origin."""
    stated = found.manifest.statement
    if not found.manifest.valid or stated is None:
        return ""
    try:
        expected = Stamp.of(stated)
    except ContractError:
        return "The manifest has no usable time to compare it with."
    if expected == found.stamp:
        return "It names the same origin as the manifest."
    return "It names another origin than the manifest: one of them belongs to another file."


def forensic_sentence(found: Verification) -> str:
    """Say what the signals come to."""
    score = found.score
    if score is None:
        reasons = {s.finding for s in found.readings}
        return f"No forensic signal applied. {' '.join(sorted(reasons))}"
    judged = [s for s in found.readings if s.score is not None]
    most = max(judged, key=lambda s: s.score or 0.0)
    count = f"{len(judged)} of {len(found.readings)} signals applied"
    said = f"{count}; the highest score is {score:.2f} (not calibrated): {strength(score)}"
    return f"{said}." if score < WEAK else f"{said} in {most.title.lower()}. {most.finding}"
