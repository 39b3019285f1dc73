"""Color of each sample: skin, eyes, mouth and clothes, then hair over them.

Everything here is compiled and works on one sample at a time. Colors are display-referred RGB, as
in the face model's light: albedo times irradiance, plus highlights.
"""

from __future__ import annotations

import math

import numpy as np

from likeness.compiled import njit
from likeness.face3d.raster import Ids
from likeness.types import Floats, Ints

# Columns of the vertex attributes.
IRRADIANCE, NORMAL, UV, LIPS, LASHES, SEAM, CHANNELS = 0, 3, 6, 8, 9, 10, 11
HAIR_CHANNELS = 12
_FAR = 1e9


@njit(cache=True, nogil=True, inline="always")
def _smooth(low: float, high: float, x: float) -> float:
    t = (x - low) / (high - low)
    t = 0.0 if t < 0.0 else (1.0 if t > 1.0 else t)
    return t * t * (3.0 - 2.0 * t)


@njit(cache=True, nogil=True)
def _sample(texture: Floats, u: float, v: float, channel: int) -> float:
    h, w = texture.shape[0], texture.shape[1]
    x, y = u * w - 0.5, v * h - 0.5
    x0, y0 = math.floor(x), math.floor(y)
    fx, fy = x - x0, y - y0
    left, right = int(x0) % w, (int(x0) + 1) % w
    top = min(max(int(y0), 0), h - 1)
    base = min(max(int(y0) + 1, 0), h - 1)
    upper = texture[top, left, channel] * (1 - fx) + texture[top, right, channel] * fx
    lower = texture[base, left, channel] * (1 - fx) + texture[base, right, channel] * fx
    return float(upper * (1 - fy) + lower * fy)


@njit(cache=True, nogil=True)
def _sample_all(texture: Floats, u: float, v: float, out: Floats) -> None:
    """Bilinear color and gloss, all four channels at once."""
    h, w = texture.shape[0], texture.shape[1]
    x, y = u * w - 0.5, v * h - 0.5
    x0, y0 = math.floor(x), math.floor(y)
    fx, fy = x - x0, y - y0
    left, right = int(x0) % w, (int(x0) + 1) % w
    top, base = min(max(int(y0), 0), h - 1), min(max(int(y0) + 1, 0), h - 1)
    a, b, c, d = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
    for k in range(4):
        out[k] = a * texture[top, left, k] + b * texture[top, right, k]
        out[k] += c * texture[base, left, k] + d * texture[base, right, k]


@njit(cache=True, nogil=True)
def _distance(x: float, y: float, path: Floats) -> float:
    """Distance in pixels from a point to a polyline (P,2)."""
    best = _FAR
    for k in range(len(path) - 1):
        ax, ay = path[k, 0], path[k, 1]
        dx, dy = path[k + 1, 0] - ax, path[k + 1, 1] - ay
        t = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy + 1e-9)
        t = 0.0 if t < 0.0 else (1.0 if t > 1.0 else t)
        ex, ey = x - ax - t * dx, y - ay - t * dy
        best = min(best, ex * ex + ey * ey)
    return math.sqrt(best)


@njit(cache=True, nogil=True)
def _lit(n: Floats, light: Floats, channel: int) -> float:
    """Irradiance of a normal, as `face3d.light.irradiance`."""
    x, y, z = n[0], n[1], n[2]
    a0, a1, a2 = 0.886226925, 1.772453851, 2.427032
    value = a0 * light[0, channel]
    value += a1 * (-y * light[1, channel] + z * light[2, channel] - x * light[3, channel])
    value += a2 * (
        x * y * light[4, channel] - y * z * light[5, channel] - x * z * light[7, channel]
    )
    value += a2 * 0.288675 * (3 * z * z - 1) * light[6, channel]
    value += a2 * 0.5 * (x * x - y * y) * light[8, channel]
    return float(max(value, 0.0))


@njit(cache=True, nogil=True)
def _eye(
    ray: Floats, at: Floats, eye: Floats, turn: Floats, rims: Floats, scene: Floats,
    light: Floats, out: Floats,
) -> None:  # fmt: skip
    """Eyeball seen through the lids.

    `eye`: center xyz, radius, iris radius, pupil radius, iris RGB, seed. `turn`: (3,3) eye from
    camera. `rims`: (2,P,2) upper and lower lid in samples. `scene`: samples per mm, key xyz.
    """
    b = ray[0] * eye[0] + ray[1] * eye[1] + ray[2] * eye[2]
    c = eye[0] ** 2 + eye[1] ** 2 + eye[2] ** 2 - eye[3] ** 2
    inside = b * b - c
    upper = _distance(at[0], at[1], rims[0]) / scene[0]
    lower = _distance(at[0], at[1], rims[1]) / scene[0]
    closed = _smooth(-0.3, 0.5, upper)
    shadow = (0.58 + 0.42 * _smooth(0.0, 3.6, upper)) * (0.72 + 0.28 * _smooth(0.0, 1.6, lower))
    if inside <= 0.0:
        for k in range(3):
            out[k] = (0.52, 0.30, 0.27)[k] * shadow
        return
    root = math.sqrt(inside)
    n = np.empty(3, np.float32)
    q = np.empty(3, np.float32)
    for k in range(3):
        n[k] = (ray[k] * (b - root) - eye[k]) / eye[3]
    for k in range(3):
        q[k] = turn[k, 0] * n[0] + turn[k, 1] * n[1] + turn[k, 2] * n[2]
    rho = eye[3] * math.sqrt(q[0] ** 2 + q[1] ** 2) if q[2] < 0 else _FAR
    angle = math.atan2(q[1], q[0])
    iris, pupil = eye[4], eye[5]
    # Light gathers in the iris opposite to the highlight.
    glow = 0.5 + 0.5 * (-(q[0] * scene[1] + q[1] * scene[2]) * eye[3] / iris)
    fiber = 0.82 + 0.12 * math.sin(angle * 23 + eye[9]) + 0.10 * math.sin(angle * 41 + 2 * eye[9])
    edge = _smooth(iris - 0.35, iris + 0.35, rho)
    limbus = 1.0 - 0.62 * _smooth(0.74 * iris, 0.97 * iris, rho)
    hole = 1.0 - _smooth(pupil - 0.25, pupil + 0.25, rho)
    ring = 1.0 + 0.45 * (1.0 - _smooth(pupil, pupil + 1.4, rho))
    vein = _smooth(7.0, 13.0, rho if rho < _FAR else 13.0)
    hx, hy, hz = scene[1], scene[2], scene[3] - 1.0
    h = math.sqrt(hx * hx + hy * hy + hz * hz)
    shine = (n[0] * hx + n[1] * hy + n[2] * hz) / h
    glint = _smooth(0.9925, 0.9965, shine) * 0.85 + 0.05 * max(shine, 0.0) ** 40
    for k in range(3):
        white = (0.86, 0.84, 0.82)[k] - vein * (0.02, 0.16, 0.16)[k]
        colored = eye[6 + k] * fiber * limbus * ring * (0.65 + 0.7 * glow)
        colored = colored * (1 - hole) + 0.012 * hole
        base = white * edge + colored * (1 - edge)
        lit = base * (0.25 + 0.75 * _lit(n, light, k)) * shadow
        lit += glint * (0.35 + 0.65 * shadow)
        wet = (0.46, 0.27, 0.25)[k] * shadow
        lower_edge = 1.0 - _smooth(0.3, 0.9, lower)
        lit = lit * (1 - 0.6 * lower_edge) + 0.6 * lower_edge * wet
        out[k] = lit * closed + (1 - closed) * 0.03


@njit(cache=True, nogil=True)
def _arch(origin: Floats, ray: Floats, arch: Floats) -> float:
    """Distance along the ray to the front of an elliptic cylinder (axis y), or _FAR.

    `arch`: center x, center z, half width, half depth.
    """
    ox, oz = (origin[0] - arch[0]) / arch[2], (origin[2] - arch[1]) / arch[3]
    dx, dz = ray[0] / arch[2], ray[2] / arch[3]
    a, b = dx * dx + dz * dz, ox * dx + oz * dz
    inside = b * b - a * (ox * ox + oz * oz - 1.0)
    if inside <= 0.0:
        return _FAR
    return float((-b - math.sqrt(inside)) / a)


@njit(cache=True, nogil=True)
def _mouth(
    origin: Floats, ray: Floats, at: Floats, rims: Floats, scale: float, mouth: Floats,
    level: float, out: Floats,
) -> None:  # fmt: skip
    """Teeth, gums, tongue and the dark behind them, seen through the lips.

    Origin and ray in head space. `mouth`: arch (4), upper teeth's edge y, jaw's offset xyz, lower
    teeth's edge y (at rest), tongue center xyz (at rest).
    """
    upper = _distance(at[0], at[1], rims[0]) / scale
    lower = _distance(at[0], at[1], rims[1]) / scale
    shadow = (0.40 + 0.60 * _smooth(0.0, 4.0, upper)) * (0.55 + 0.45 * _smooth(0.0, 2.2, lower))
    best = _FAR
    depth = 0.0
    for k in range(3):
        out[k] = (0.13, 0.045, 0.04)[k]
    # The tongue, an ellipsoid on the jaw.
    ox = (origin[0] - mouth[9] - mouth[5]) / 19.0
    oy = (origin[1] - mouth[10] - mouth[6]) / 9.5
    oz = (origin[2] - mouth[11] - mouth[7]) / 22.0
    dx, dy, dz = ray[0] / 19.0, ray[1] / 9.5, ray[2] / 22.0
    a, b = dx * dx + dy * dy + dz * dz, ox * dx + oy * dy + oz * dz
    inside = b * b - a * (ox * ox + oy * oy + oz * oz - 1.0)
    if inside > 0.0:
        best = (-b - math.sqrt(inside)) / a
        up = -(oy + dy * best)
        groove = 1.0 - 0.18 * math.exp(-(((ox + dx * best) / 0.12) ** 2))
        lit = (0.42 + 0.45 * max(up, 0.0)) * groove
        for k in range(3):
            out[k] = (0.66, 0.28, 0.27)[k] * lit
    for jaw in range(2):
        start = origin.copy()
        if jaw == 1:
            for k in range(3):
                start[k] -= mouth[5 + k]
            start[2] -= 2.2
        t = _arch(start, ray, mouth[:4])
        if t >= best:
            continue
        x, y = start[0] + t * ray[0], start[1] + t * ray[1]
        turn = math.asin(max(min((x - mouth[0]) / mouth[2], 1.0), -1.0))
        wide = 8.3 if jaw == 0 else 6.2
        arc = turn * 0.5 * (mouth[2] + mouth[3]) / wide
        part = arc - math.floor(arc) - 0.5
        lobe = part * part * 4.0
        drop = (mouth[4] + 0.9 - y) if jaw == 0 else (y - mouth[8] + 0.5)
        drop -= 0.9 * lobe + 0.8 * math.fabs(turn)
        if drop < 0.0 or drop > 26.0:
            continue
        gap = 1.0 - 0.55 * _smooth(0.86, 1.0, 2.0 * math.fabs(part))
        gum = _smooth(8.6 - 1.6 * lobe, 9.2 - 1.6 * lobe, drop)
        front = max(math.cos(1.25 * turn), 0.0)
        lit = (0.30 + 0.70 * front) * (1.0 if jaw == 0 else 0.86)
        for k in range(3):
            tooth = (0.90, 0.87, 0.80)[k] * gap * (0.9 + 0.1 * _smooth(0.0, 3.0, drop))
            out[k] = (tooth * (1 - gum) + gum * (0.68, 0.36, 0.35)[k]) * lit
        best = t
    depth = _smooth(0.0, 30.0, best - mouth[12]) if best < _FAR else 1.0
    for k in range(3):
        out[k] *= shadow * level * (1.0 - 0.5 * depth)


@njit(cache=True, nogil=True)
def _skin(
    a: Floats, base: Floats, tinted: Floats, ray: Floats, key: Floats, key_color: Floats,
    lips: Floats, lashes: float, out: Floats,
) -> None:  # fmt: skip
    """Skin, lips and lashes.

    `a`: interpolated attributes. `base`: texture's color and gloss. `tinted`: its color over the
    bare skin's, which carries pores over to the lips.
    """
    nx, ny, nz = a[NORMAL], a[NORMAL + 1], a[NORMAL + 2]
    length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
    nx, ny, nz = nx / length, ny / length, nz / length
    lip = _smooth(0.36, 0.62, a[LIPS])
    lash = (0.5 + 0.42 * lashes) * _smooth(0.5, 0.9, a[LASHES]) + 0.28 * _smooth(
        0.1, 0.33, a[LASHES]
    )
    seam = 0.62 * _smooth(0.45, 1.0, a[SEAM])
    hx, hy, hz = key[0] - ray[0], key[1] - ray[1], key[2] - ray[2]
    h = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
    shine = max((nx * hx + ny * hy + nz * hz) / h, 0.0)
    facing = max(-(nx * ray[0] + ny * ray[1] + nz * ray[2]), 0.0)
    rim = (1.0 - facing) ** 4
    wide, tight = shine**10, shine**48
    level = (a[IRRADIANCE] + a[IRRADIANCE + 1] + a[IRRADIANCE + 2]) / 3.0
    for k in range(3):
        albedo = base[k] * (1 - lip) + lips[k] * lip * (0.35 + 0.65 * tinted[k])
        value = albedo * a[IRRADIANCE + k]
        oil = (0.07 * wide + 0.10 * tight) * base[3] * (1 - lip) + lip * (
            0.05 * wide + 0.16 * tight
        )
        value += oil * key_color[k] * min(level * 1.2, 1.0) + 0.05 * rim * level * albedo
        value *= 1 - seam
        out[k] = value * (1 - lash) + lash * 0.02


@njit(cache=True, nogil=True)
def shade_body(
    ids: Ids, bary: Floats, triangles: Ints, parts: Ints, camera: Floats, attributes: Floats,
    head_texture: Floats, torso_texture: Floats, view: Floats, tones: Floats, light: Floats,
    eyes: Floats, turns: Floats, head: Floats, mouth: Floats, rims: Floats, rgb: Floats,
    depth: Floats, label: Ints,
) -> None:  # fmt: skip
    """Shade every covered sample.

    Args:
        ids, bary, triangles, parts: from the rasterizer and `Body`.
        camera: (V,3) camera-space millimetres.
        attributes: (V,CHANNELS).
        head_texture, torso_texture: (h,w,4).
        view: focal, center x, center y (samples), samples per mm at the head, key xyz.
        tones: (4,3) lips, key color, skin, (lashes, gloss, mouth level).
        light: (9,3).
        eyes: (2,10); turns: (2,3,3) eye from camera; head: (3,4) head from camera.
        mouth: (13,); rims: (3,2,P,2) lids right, lids left, lips in samples.
        rgb: (h,w,3), depth: (h,w) and label: (h,w) are written.
    """
    height, width = ids.shape
    a = np.empty(CHANNELS, np.float32)
    base, tinted = np.empty(4, np.float32), np.empty(3, np.float32)
    ray, at = np.empty(3, np.float32), np.empty(2, np.float32)
    origin, inner = head[:, 3].copy(), np.empty(3, np.float32)
    out = np.empty(3, np.float32)
    scene = view[3:7].copy()
    key = view[4:7].copy()
    for row in range(height):
        for column in range(width):
            face = ids[row, column]
            label[row, column] = -1
            depth[row, column] = _FAR
            if face < 0:
                continue
            part = parts[face]
            label[row, column] = part
            i, j, k = triangles[face, 0], triangles[face, 1], triangles[face, 2]
            wi, wj, wk = bary[row, column, 0], bary[row, column, 1], bary[row, column, 2]
            depth[row, column] = wi * camera[i, 2] + wj * camera[j, 2] + wk * camera[k, 2]
            at[0], at[1] = column + 0.5, row + 0.5
            ray[0], ray[1], ray[2] = (at[0] - view[1]) / view[0], (at[1] - view[2]) / view[0], 1.0
            ray /= math.sqrt(ray[0] ** 2 + ray[1] ** 2 + 1.0)
            if part == 1 or part == 2:
                e = part - 1
                _eye(ray, at, eyes[e], turns[e], rims[e], scene, light, out)
            elif part == 3:
                for c in range(3):
                    inner[c] = head[c, 0] * ray[0] + head[c, 1] * ray[1] + head[c, 2] * ray[2]
                _mouth(origin, inner, at, rims[2], view[3], mouth, tones[3, 2], out)
            else:
                for c in range(CHANNELS):
                    a[c] = wi * attributes[i, c] + wj * attributes[j, c] + wk * attributes[k, c]
                texture = torso_texture if part == 6 else head_texture
                _sample_all(texture, a[UV], a[UV + 1], base)
                for c in range(3):
                    tinted[c] = base[c] / tones[2, c]
                _skin(a, base, tinted, ray, key, tones[1], tones[0], tones[3, 0], out)
            for c in range(3):
                rgb[row, column, c] = out[c]


@njit(cache=True, nogil=True)
def shade_hair(
    ids: Ids, bary: Floats, triangles: Ints, camera: Floats, attributes: Floats, grain: Floats,
    key: Floats, tones: Floats, tips: float, depth: Floats, rgb: Floats, alpha: Floats,
) -> None:  # fmt: skip
    """Lay hair over shaded samples where it is nearer.

    Args:
        attributes: (V,12): irradiance, normal, tangent (3 each), turns, millimetres, end.
        grain: (h,w,2) noise along strands (wraps around in both directions).
        key: toward the light.
        tones: (2,3) hair color, key color.
        tips: raggedness of the ends.
        depth: (h,w) of what lies under; rgb: (h,w,3) changed; alpha: (h,w) hair coverage, added to.
    """
    height, width = ids.shape
    a = np.empty(HAIR_CHANNELS, np.float32)
    for row in range(height):
        for column in range(width):
            face = ids[row, column]
            if face < 0:
                continue
            i, j, k = triangles[face, 0], triangles[face, 1], triangles[face, 2]
            wi, wj, wk = bary[row, column, 0], bary[row, column, 1], bary[row, column, 2]
            near = wi * camera[i, 2] + wj * camera[j, 2] + wk * camera[k, 2]
            if near > depth[row, column] + 1.0:
                continue
            for c in range(HAIR_CHANNELS):
                a[c] = wi * attributes[i, c] + wj * attributes[j, c] + wk * attributes[k, c]
            fine = _sample(grain, a[9] * 3.0, (a[10] / 260.0) % 1.0, 0)
            broad = _sample(grain, a[9], (a[10] / 420.0) % 1.0, 1)
            limit = 1.0 - tips * (0.5 + 0.5 * fine) - 0.4 * tips * (0.5 + 0.5 * broad)
            cover = 1.0 - _smooth(limit - 0.05, limit + 0.02, a[11])
            if cover <= 0.0:
                continue
            tx, ty, tz = a[6], a[7], a[8]
            t = math.sqrt(tx * tx + ty * ty + tz * tz) + 1e-9
            hx, hy, hz = key[0], key[1], key[2] - 1.0
            h = math.sqrt(hx * hx + hy * hy + hz * hz)
            along = (tx * hx + ty * hy + tz * hz) / (t * h) + 0.10 * fine
            wide = math.sqrt(max(1 - along * along, 0.0))
            back = a[5] > 0.0
            level = (a[0] + a[1] + a[2]) / 3.0
            shine = (0.10 * wide**14 + 0.22 * wide**70) * min(level, 1.0) * (0.6 + 0.4 * fine)
            tone = (0.80 + 0.24 * fine + 0.16 * broad) * (0.42 if back else 1.0)
            root = 0.62 + 0.38 * _smooth(0.0, 0.25, a[11])
            for c in range(3):
                lit = max(a[c], 0.45) if back else a[c]
                value = tones[0, c] * tone * lit * (root if not back else 0.8)
                if not back:
                    value += max(shine, 0.0) * (0.35 + 1.3 * tones[0, c]) * tones[1, c]
                value = max(value, 0.0)
                rgb[row, column, c] += cover * (value - rgb[row, column, c])
            alpha[row, column] += cover * (1.0 - alpha[row, column])
