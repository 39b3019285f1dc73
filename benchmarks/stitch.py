"""What each step of Stitch it in Time is worth, on a procedural actor and on a drawn one.

    python benchmarks/stitch.py [NAME.bundle] [--direction smile] [--strength 2] [--frames 24]
                                [--cartoon] [--strip STRIP.png]

The ladder: every frame edited by itself; with smoothed crops; with the generator tuned to the clip;
with stitching tuning. The actor is none of those that the shipped generator learned from, and is
tracked like any clip. Prints a table in Markdown; keep the machine free for its seconds.

seam, flicker, tl_id, tg_id: `metrics.edit`. border: squared error at the border of what is pasted,
in [-1,1]. psnr: of the unedited face, drawn from its pivots. outside: largest change of any pixel
outside the mask, before encoding. label: by how many of its deviations the attribute has moved, as
the generator's own encoder tells it. A clip of one's own is given with --clip; nothing is written.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file

from likeness import config as settings
from likeness.actor import Actor, Motion, RenderConfig, frames
from likeness.composite import composite
from likeness.condition.crop import cut
from likeness.decode import Decoder, open_clip
from likeness.encode import encode
from likeness.methods.edit.crops import AlignConfig
from likeness.methods.edit.directions import Direction, direction_named, directions_of
from likeness.methods.edit.generator import FaceGenerator, open_generator
from likeness.methods.edit.method import StitchConfig, StitchedClip, open_stitch
from likeness.methods.edit.shipped import shipped_generator
from likeness.methods.edit.stages import StagesConfig
from likeness.methods.edit.stitch import StitchingConfig
from likeness.methods.edit.tune import TuneConfig
from likeness.metrics.edit import EditEvaluation
from likeness.metrics.pictures import contact_sheet
from likeness.painting import paint
from likeness.people import recognizer
from likeness.pipeline import analyze
from likeness.plan.edit import plan_edit
from likeness.plan.plan import Plan
from likeness.provenance.manifest import RENDERED, Manifest
from likeness.provenance.permission import actor_entry
from likeness.recognize import embed_faces
from likeness.store import load_bundle
from likeness.types import Bundle, Clip, ColorTags, Crop, Floats, Shot, Timeline, Window

SIDE = 192
ACTOR = 6
RUNGS = {
    "frame by frame": (False, False, False),
    "+ smoothed crops": (True, False, False),
    "+ pivotal tuning": (True, True, False),
    "+ stitching": (True, True, True),
}


def film(folder: Path, count: int, cartoon: bool) -> Clip:
    """Film an actor in conversation, or the same actor drawn flat."""
    path = folder / ("cartoon.mp4" if cartoon else "actor.mp4")
    motion = Motion.from_seed(ACTOR, count / 25, style="expressive")
    plain = Clip(
        path, "", (SIDE, SIDE), np.arange(count), Fraction(1, 25), 1, ColorTags(1, 1, 1, False)
    )
    manifest = Manifest(
        title=path.name,
        action="render",
        people=(actor_entry(ACTOR, "target"),),
        digital_source_type=RENDERED,
    )
    config = RenderConfig((SIDE, SIDE))
    with encode(path, plain, manifest, Timeline.of(plain)) as video:
        for batch in frames(Actor.from_seed(ACTOR), motion, config):
            video.append(torch.stack([drawn(one) for one in batch]) if cartoon else batch)
    return open_clip(path)


def drawn(frame: torch.Tensor) -> torch.Tensor:
    """Flat colors in a few tones, and dark lines where they meet: (3,H,W) in [0,1]."""
    picture = (frame.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    for _ in range(6):
        picture = cv2.bilateralFilter(picture, 7, 28, 5)
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    lab[..., 0] = (lab[..., 0] // 36) * 36 + 24
    lab[..., 1:] = 128 + np.round((lab[..., 1:] - 128) * 1.35 / 8) * 8
    flat = cv2.cvtColor(lab.clip(0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    lines = cv2.GaussianBlur(np.abs(cv2.Laplacian(gray, cv2.CV_32F, ksize=3)), (0, 0), 0.7)
    ink = np.clip((lines - 16) / 24, 0, 1)[..., None]
    return torch.from_numpy((flat / 255 * (1 - 0.85 * ink)).astype(np.float32)).permute(2, 0, 1)


def plan_of(shot: Shot, name: str, strength: float, config: StitchConfig) -> Plan:
    """Plan one direction at one strength over the whole clip."""
    strengths = {name: np.full(len(shot.clip), strength, np.float32)}
    return plan_edit(shot, strengths, {"stitch": settings.to_json(config)})


def settings_of(rung: tuple[bool, bool, bool], epochs: float, steps: int) -> StitchConfig:
    """Switch the steps of a rung on."""
    smooth, tune, stitch = rung
    return StitchConfig(
        StagesConfig(
            align=AlignConfig() if smooth else AlignConfig(0, 0),
            tune=TuneConfig(epochs=epochs if tune else 0),
            stitch=StitchingConfig(steps=steps if stitch else 0),
        )
    )


def main() -> None:
    """Climb the ladder and print what each rung measures."""
    options = read_options()
    torch.set_num_threads(1)
    bundle = load_bundle(options.bundle) if options.bundle else shipped_generator()
    generator = open_generator(bundle)
    direction = direction_named(options.direction, directions_of(bundle))
    who = recognizer()
    print("| | seam | border | flicker | tl_id | tg_id | psnr | outside | label | seconds |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = options.clip and open_clip(options.clip)
        clip = clip or film(folder, options.frames, options.cartoon)
        shot = analyze(clip)[0]
        with Decoder(clip) as decoder:
            real = torch.empty(len(clip), 3, *clip.size)
            decoder.read(Window(0, len(clip)), real)
        codes = embed_faces(real, shot.track.landmarks, who)
        chosen = np.linspace(0, len(clip) - 1, 6).round().astype(int)
        rows = {"original": real[chosen]}
        for rung, parts in list(RUNGS.items())[-options.last :]:
            config = settings_of(parts, options.epochs, options.steps)
            if options.mask:
                mask = replace(config.stages.mask, what=options.mask)
                config = replace(config, stages=replace(config.stages, mask=mask))
            plan = plan_of(shot, direction.name, options.strength, config)
            began = time.monotonic()
            method = open_stitch(
                bundle, plan, torch.device("cpu"), folder=folder / rung.replace(" ", "_")
            )
            seconds = time.monotonic() - began
            result = paint(real, [method], Window(0, len(clip)))
            rows[rung] = result[chosen]
            edited = embed_faces(result, shot.track.landmarks, who)
            evaluation = EditEvaluation()
            evaluation.add(real, result, shot.track.landmarks)
            times = np.arange(len(clip))
            measured = evaluation.result(codes, edited, times, who.distance(codes, edited))
            told = (
                measured.seam,
                within(method.paster.faces, method.paster.crop, real),
                measured.flicker,
                measured.tl_id,
                measured.tg_id,
                rebuilt(bundle, plan, folder / rung.replace(" ", "_"), real),
                outside(method, real, result),
                moved(generator, direction, real, result, method.paster.crop),
                seconds,
            )
            print(f"| {rung} | " + " | ".join(f"{value:.4g}" for value in told) + " |", flush=True)
    if options.strip:
        options.strip.write_bytes(contact_sheet(rows))


def within(faces: np.ndarray, crop: Crop, real: torch.Tensor) -> float:
    """Squared error in [-1,1] on the outermost ring of what is pasted, mean over frames."""
    shown = cut(real, crop)
    drawn_ = torch.from_numpy(np.array(faces)).float()
    inside = (drawn_[:, 3:] > 0).float()
    ring = inside * torch.nn.functional.max_pool2d(1 - inside, 3, 1, 1)
    error = (4 * (drawn_[:, :3] - shown).square()).mean(1, keepdim=True) * ring
    return float(error.sum() / ring.sum().clamp_min(1))


def rebuilt(bundle: Bundle, plan: Plan, folder: Path, real: torch.Tensor) -> float:
    """PSNR in dB of the crops as the (tuned) generator draws them from their pivots, unedited."""
    generator = open_generator(bundle)
    count, shape = len(real), generator.shape
    pivots = np.fromfile(folder / "pivots.bin", np.float32, offset=4096).reshape(count, *shape)
    pixels = np.fromfile(folder / "crops.bin", np.uint8, offset=4096)
    shown = torch.from_numpy(pixels.reshape(count, 3, generator.size, generator.size)).float() / 255
    state = next(iter(folder.glob("tune_*/state_*.safetensors")), None)
    if state is not None:
        kept = load_file(state)
        generator.module.load_state_dict(
            {k[8:]: v for k, v in kept.items() if k.startswith("average.")}
        )
    with torch.no_grad():
        again = generator.draw(torch.from_numpy(pivots)).clamp(0, 1)
    return float(-10 * torch.log10((again - shown).square().mean()))


def outside(method: StitchedClip, real: torch.Tensor, result: torch.Tensor) -> float:
    """Largest change where nothing is pasted."""
    layer = method.synthesize(method.condition(Window(0, len(real)), real))
    white = replace(layer, rgb=torch.ones_like(layer.rgb), alpha=(layer.alpha > 0).float())
    covered = composite(torch.zeros_like(real), white).amax(1, keepdim=True) > 0
    return float(((result - real).abs() * ~covered).max())


def moved(
    generator: FaceGenerator,
    direction: Direction,
    real: torch.Tensor,
    result: torch.Tensor,
    crop: Crop,
) -> float:
    """How far codes have moved along a direction, in steps of strength 1."""
    step: Floats = direction.step.mean(0)
    codes = []
    for part in (real, result):
        found = generator.encode(cut(part, crop))
        assert found is not None
        codes.append(found.mean(1).numpy())
    return float(((codes[1] - codes[0]) @ step).mean() / (step @ step))


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--direction", default="smile")
    parser.add_argument("--strength", type=float, default=2.0)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--epochs", type=float, default=60)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--mask", choices=("head", "face"))
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--last", type=int, default=len(RUNGS), help="rungs from the top")
    parser.add_argument("--cartoon", action="store_true")
    parser.add_argument("--strip", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
