"""Make the face model that ships with the package.

    python scripts/make_face_model.py PORTRAITS_DIR

tracks every picture of the folder with mediapipe and writes
src/likeness/face3d/likeness_face.safetensors and, beside it, likeness_face.json, which says how it
was made. The same pictures and library versions give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import face_expressions as expressions
import face_statistics as statistics
import face_topology as topology
import numpy as np
from face_handles import NAMES
from face_regions import regions
from face_topology import VERTICES, Floats, Ints
from PIL import Image

from likeness.face3d.model import FaceModel
from likeness.store import save_face_model

IDENTITY_MODES, ALBEDO_MODES = 40, 20
POSED = (
    "jawOpen", "mouthSmile", "mouthDimple", "mouthStretch", "mouthUpperUp", "mouthLowerDown",
    "cheekSquint", "eyeSquint",
)  # fmt: skip
"""What people do for an official photograph; all else that differs between them is identity."""
OUTPUT = Path(__file__).parents[1] / "src" / "likeness" / "face3d"


def main(folder: Path) -> None:
    """Track, average, author, save."""
    pictures, tracked, digests = track(folder)
    mirrored = np.array([[-1.0, 1.0, 1.0]])
    rough = statistics.upright_mean(tracked)
    twin = topology.mirror(rough)
    everyone = np.concatenate([twin, statistics.IRIS_TWIN])
    tracked = np.concatenate([tracked, (tracked * mirrored)[:, everyone]])
    posed = statistics.upright_mean(tracked, twin)
    stable = np.ones(VERTICES)
    aligned = np.stack([statistics.align(x, posed, stable).apply(x) for x in tracked])
    mean478 = statistics.neutral_mean(aligned, twin)
    model, shape_share, albedo_share = build(pictures, tracked, mean478, twin)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    path = OUTPUT / "likeness_face.safetensors"
    save_face_model(model, path)
    record = {
        "command": "python scripts/make_face_model.py PORTRAITS_DIR",
        "portraits": digests,
        "portraits_note": "official portraits, public domain as works of the US government",
        "libraries": {name: version(name) for name in ("mediapipe", "numpy", "scipy")},
        "identity_variance_share": [round(float(s), 4) for s in shape_share],
        "albedo_variance_share": [round(float(s), 4) for s in albedo_share],
        "interpupillary_mm": statistics.INTERPUPILLARY,
        "neutral_mouth_mm": statistics.NEUTRAL_MOUTH,
        "expressions": "authored in scripts/face_handles.py and scripts/face_expressions.py",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    (OUTPUT / "likeness_face.json").write_text(json.dumps(record, indent=2) + "\n")
    print(f"{path.name}: {path.stat().st_size} bytes, {len(model.expression_names)} expressions")


def build(
    pictures: list[Floats], tracked: Floats, points: Floats, twin: Ints
) -> tuple[FaceModel, Floats, Floats]:
    """The model, and the shares of variance that its identity and albedo modes hold.

    Args:
        pictures: N pictures.
        tracked: (2N,478,3) their points and those of their mirror images.
        points: (478,3) the face at rest.
        twin: (468,) mirror twins.
    """
    rings = topology.rings()
    pairs = inner_pairs(rings["lips_inner"])
    points[:VERTICES] = statistics.close_mouth(points[:VERTICES], pairs)
    points *= statistics.INTERPUPILLARY / np.linalg.norm(points[468] - points[473])
    mean = points[:VERTICES]
    faces = topology.triangles(mean)

    skin = expressions.Skin(mean, faces, twin, pairs)
    named = expressions.named_modes(skin)
    detail_names, details = expressions.detail_modes(skin, named)
    smiling = [i for i, name in enumerate(NAMES) if name.startswith(POSED)]
    people = statistics.without_expression(tracked, mean, named[smiling], ridge=3.0)
    identity, shape_share = statistics.principal_modes(people, IDENTITY_MODES)
    albedo_mean, albedo, albedo_share = skin_colors(pictures, tracked, faces, twin)

    eyes = np.stack([rings["right_eye"], rings["left_eye"]])
    model = FaceModel(
        name="likeness",
        mean=mean.astype(np.float32),
        identity=identity.astype(np.float32),
        expression=np.concatenate([named, details]).astype(np.float32),
        expression_names=(*NAMES, *detail_names),
        triangles=faces,
        albedo_mean=albedo_mean.astype(np.float32),
        albedo=albedo.astype(np.float32),
        regions=regions(mean, faces, twin),
        landmark_vertices=np.where(np.arange(478) < VERTICES, np.arange(478), -1),
        mouth_triangles=topology.fill(rings["lips_inner"]),
        eye_triangles=(topology.fill(eyes[0]), topology.fill(eyes[1])),
        eye_centers=eye_centers(points, eyes).astype(np.float32),
        eye_identity=identity[:, eyes].mean(2).astype(np.float32),
    )
    return model, shape_share, albedo_share


def track(folder: Path) -> tuple[list[Floats], Floats, dict[str, str]]:
    """Pictures in [0,1], tracked points (N,478,3) in pixels and each file's sha256."""
    from mediapipe.python.solutions.face_mesh import FaceMesh

    pictures, points, digests = [], [], {}
    with FaceMesh(static_image_mode=True, refine_landmarks=True, max_num_faces=1) as tracker:
        for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".png")):
            image = np.asarray(Image.open(path).convert("RGB"))
            found = tracker.process(image).multi_face_landmarks
            if not found:
                continue
            h, w = image.shape[:2]
            points.append([[p.x * w, p.y * h, p.z * w] for p in found[0].landmark])
            pictures.append(image.astype(np.float64) / 255.0)
            digests[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    if len(points) < IDENTITY_MODES:
        raise SystemExit(f"{folder} shows {len(points)} faces, expected {IDENTITY_MODES} or more")
    return pictures, np.array(points), digests


def skin_colors(
    pictures: list[Floats], tracked: Floats, faces: Ints, twin: Ints
) -> tuple[Floats, Floats, Floats]:
    """Albedo mean (V,3), modes (A,V,3) and their share of variance, mirror twins included."""
    oval = topology.rings()["face_oval"]
    count = len(pictures)
    colors = np.stack(
        [
            statistics.vertex_colors(picture, points, oval)
            for picture, points in zip(pictures, tracked[:count], strict=True)
        ]
    )
    albedo = statistics.unlit(colors, tracked[:count, :VERTICES], faces, twin)
    middle = np.median(albedo, axis=0)
    middle = 0.5 * (middle + middle[twin])
    # Hair and background that reach the rim of the face are no skin: limit what they add.
    albedo = middle + (albedo - middle).clip(-0.3, 0.3)
    samples = np.concatenate([albedo, albedo[:, twin]])
    modes, share = statistics.principal_modes(samples, ALBEDO_MODES)
    return samples.mean(0), modes, share


def inner_pairs(ring: Ints) -> Ints:
    """(9,2) inner upper lip vertices and the lower ones that touch them."""
    half = len(ring) // 2
    return np.stack([ring[1:half], ring[:half:-1]], axis=1)


def eye_centers(points: Floats, rims: Ints) -> Floats:
    """Eyeball centers (2,3): behind the irises, at the depth that lets the lids lie on the ball."""
    depth = np.array([points[rim[[3, 4, 5, 11, 12, 13]], 2].mean() for rim in rims]).mean() + 11.0
    iris = points[[468, 473]]
    return np.stack([iris[:, 0], iris[:, 1], np.full(2, depth)], axis=1)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python scripts/make_face_model.py PORTRAITS_DIR")
    main(Path(sys.argv[1]))
