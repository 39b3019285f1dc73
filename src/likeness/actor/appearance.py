"""How an actor looks: every trait drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.types import Floats

Color = tuple[float, float, float]

SKINS: tuple[Color, ...] = (
    (0.90, 0.73, 0.64),
    (0.86, 0.67, 0.56),
    (0.82, 0.62, 0.49),
    (0.76, 0.56, 0.43),
    (0.66, 0.46, 0.34),
    (0.52, 0.35, 0.25),
    (0.40, 0.26, 0.19),
)
HAIRS: tuple[Color, ...] = (
    (0.06, 0.045, 0.04),
    (0.13, 0.08, 0.055),
    (0.24, 0.15, 0.09),
    (0.38, 0.24, 0.13),
    (0.62, 0.45, 0.25),
    (0.42, 0.17, 0.08),
    (0.55, 0.53, 0.52),
)
IRISES: tuple[Color, ...] = (
    (0.25, 0.14, 0.07),
    (0.34, 0.21, 0.10),
    (0.40, 0.34, 0.16),
    (0.30, 0.42, 0.28),
    (0.30, 0.45, 0.60),
    (0.42, 0.50, 0.55),
)
CLOTHES: tuple[Color, ...] = (
    (0.16, 0.20, 0.32),
    (0.55, 0.16, 0.15),
    (0.20, 0.33, 0.26),
    (0.78, 0.76, 0.72),
    (0.22, 0.22, 0.24),
    (0.62, 0.48, 0.26),
    (0.38, 0.30, 0.46),
    (0.30, 0.48, 0.58),
)
HAIR_STYLES = ("short", "long", "buzz", "bob", "quiff", "curly", "bun", "wavy", "side", "bald")
GARMENTS = ("crew", "stripes", "collar", "knit", "vee")
PLATES = ("shelf", "wall", "bokeh", "brick", "window")
# Styles that go with a broader jaw, stubble and shoulders, and those that go without.
_BROAD = ("short", "buzz", "quiff", "side", "bald", "curly")
_SLIM = ("long", "bob", "bun", "wavy", "curly", "short")


@dataclass(frozen=True, eq=False)
class Appearance:
    """All traits of one actor. Colors are RGB albedos in [0,1], lengths millimetres."""

    seed: int
    shape: Floats
    """(S,) identity coefficients of the face model."""
    skin: Color
    lips: Color
    iris: Color
    hair: Color
    hair_style: str
    brow: Color
    brow_weight: float
    """Density of the brows, 0.5 thin to 1.3 bushy."""
    stubble: float
    """Beard shadow, 0 none to 1 a short beard."""
    freckles: float
    blush: float
    age: float
    """Depth of lines and folds, 0 to 1."""
    lashes: float
    neck: float
    """Half width of the neck."""
    shoulders: float
    """Scale of the torso."""
    garment: str
    cloth: Color
    accent: Color
    plate: str
    key: tuple[float, float, float]
    """Unit vector toward the main light in camera axes (x right, y down, z forward)."""
    key_color: Color
    fill_color: Color


def look_from_seed(seed: int, modes: int) -> Appearance:
    """Draw an actor's traits.

    Args:
        seed: any integer >= 0; neighbors differ in hair style, garment, plate and skin by design,
            so that the first ten seeds are ten plainly different people.
        modes: S, identity modes of the face model.
    """
    rng = np.random.default_rng((seed, 71))
    # A stream of its own: the other traits don't change with the face model.
    modal = np.random.default_rng((seed, 73))
    broad = seed % 2 == 0
    style = (_BROAD if broad else _SLIM)[(seed // 2) % 6]
    skin = np.array(SKINS[(seed * 3 + seed // 7) % len(SKINS)]) * rng.uniform(0.95, 1.05, 3)
    light_skin = float(skin.mean()) > 0.5
    hair = HAIRS[int(rng.integers(0, len(HAIRS)) if light_skin else rng.integers(0, 2))]
    iris = IRISES[int(rng.integers(0, len(IRISES)) if light_skin else rng.integers(0, 2))]
    painted = 0.0 if broad else float(rng.uniform(0.2, 0.9))
    natural = skin * np.array([0.90, 0.60, 0.62]) + np.array([0.05, 0.0, 0.01])
    lips = natural * (1 - painted) + painted * np.array([0.66, 0.24, 0.26]) * (
        0.55 + 0.55 * skin.mean()
    )
    cloth = CLOTHES[(seed * 5 + 2) % len(CLOTHES)]
    accent = CLOTHES[(seed * 5 + 5) % len(CLOTHES)]
    side = -1.0 if rng.random() < 0.5 else 1.0
    key = np.array([side * rng.uniform(0.35, 0.75), -rng.uniform(0.35, 0.6), -0.8])
    key /= np.linalg.norm(key)
    warm = float(rng.uniform(-0.06, 0.06))
    decay = 0.85 / (1.0 + 0.04 * np.arange(modes))
    return Appearance(
        seed=seed,
        shape=(modal.normal(size=modes).clip(-2.0, 2.0) * decay * 1.25).astype(np.float32),
        skin=_color(skin),
        lips=_color(lips),
        iris=iris,
        hair=hair,
        hair_style=style,
        brow=_color(np.array(hair) * 0.6),
        brow_weight=float(rng.uniform(0.75, 1.1) if broad else rng.uniform(0.45, 0.7)),
        stubble=float(rng.choice([0.0, 0.25, 0.6, 1.0])) if broad else 0.0,
        freckles=float(rng.choice([0.0, 0.0, 0.5, 1.0])) if light_skin else 0.0,
        blush=float(rng.uniform(0.1, 0.6)),
        age=float(rng.uniform(0.0, 0.9)),
        lashes=float(rng.uniform(0.4, 0.6) if broad else rng.uniform(0.7, 1.0)),
        neck=float(rng.uniform(53, 58) if broad else rng.uniform(45, 49)),
        shoulders=float(rng.uniform(0.97, 1.06) if broad else rng.uniform(0.84, 0.92)),
        garment=GARMENTS[(seed + seed // 5) % len(GARMENTS)],
        cloth=cloth,
        accent=accent,
        plate=PLATES[(seed * 2 + seed // 5) % len(PLATES)],
        key=(float(key[0]), float(key[1]), float(key[2])),
        key_color=_color(np.array([1.0 + warm, 0.97, 0.94 - warm]) * rng.uniform(0.62, 0.75)),
        fill_color=_color(np.array([0.94 - warm, 0.98, 1.03 + warm]) * rng.uniform(0.42, 0.5)),
    )


def _color(values: np.ndarray) -> Color:  # type: ignore[type-arg]
    r, g, b = np.clip(values, 0.0, 1.0)
    return float(r), float(g), float(b)
