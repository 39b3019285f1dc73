"""Every way to reenact side by side: Deep Video Portraits' own comparisons, on this machine.

    python benchmarks/reenact.py [--clip CLIP ...] [--minutes 10] [--only methods window ...]
                                 [--consent FILE.toml ...] [-o reenact_figures]
                                 [--steps paper=213 ...] [--trained fast=NAME.bundle ...]

Parts, in any order and in as many calls as you like; results gather in the output folder and table
and figure are written anew after each step:

    methods       fast, paper, pix2pix, face2face, obama, animate: --minutes of training each
    budget        fast with a sixth of --minutes against paper with all of them
    conditioning  paper's network told color, color and correspondence, and gaze besides
    window        paper's network with 1, 5 and 11 frames
    length        fast with 125, 250, 500, 1000 and all training frames
    cross         two actors, one motion: error against what is exactly right (actors only)

Without --clip everything runs on the procedural actor. A real person's clip needs their consent.
Trainings run one after another; keep the machine free of other work. Where that cannot be had,
`--steps` gives a variant the steps that it takes in --minutes on a quiet machine, and `--trained` a
portrait of that clip that has its training behind it.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch

from likeness.actor import EXPRESSIONS, Actor, Motion, RenderConfig
from likeness.actor_clip import write_actor_clip
from likeness.condition.conditioner import select
from likeness.condition.crop import cut, portrait_crop
from likeness.decode import Decoder, open_clip
from likeness.doctor import examine
from likeness.evaluate.pair import evaluate_pair
from likeness.evaluate.self_reenactment import evaluate_subject
from likeness.evaluate.subject import Subject, subject_of
from likeness.fit.parts import belongs
from likeness.fit.transfer import Mode, TransferConfig, rest_frame
from likeness.methods.photo.animation import AnimateConfig, Animation, Photo
from likeness.methods.photo.method import PhotoAnimation
from likeness.methods.portrait.model import CPU
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.portrait.tasks import PaperConfig
from likeness.pipeline import analyze
from likeness.provenance.consent import Consent, load_consent
from likeness.store import load_bundle
from likeness.types import Bundle, Clip, Crop, FaceTrack, Ints, Shot, Window
from likeness.verbs.reenact import ReenactConfig, reenact
from likeness.verbs.train import train_portrait

PARTS = ("methods", "budget", "conditioning", "window", "length", "cross")
METHODS = ("fast", "paper", "pix2pix", "face2face", "obama", "animate")
TRAINED = ("fast", "paper", "pix2pix")
KEYS = (
    "psnr_face",
    "psnr_eyes",
    "psnr_mouth",
    "sharpness_face",
    "detail_face",
    "landmark_error_px",
    "gaze_error_deg",
    "blink_correlation",
    "mouth_correlation",
    "temporal_error",
    "baseline_nearest_psnr_face",
    "seconds_per_frame",
)
_EYES = ("psnr_eyes", "gaze_error_deg", "blink_correlation")
KEPT = {
    "face2face": _EYES,
    "obama": (*_EYES, "psnr_face", "sharpness_face", "detail_face", "landmark_error_px"),
}
"""What an editor leaves wholly or mostly as the real frame had it: in brackets in the table."""
LENGTHS = (125, 250, 500, 1000, 4000)
SHOWN = 4
"""Held-out frames per variant in the figure."""
TARGET, DRIVER, OWN_MOTION, SHARED_MOTION = 3, 5, 5, 11


@dataclass(frozen=True)
class Scene:
    """One clip, analyzed, with the time that a training may take."""

    name: str
    shot: Shot
    consents: tuple[Consent, ...]
    minutes: float
    size: int
    folder: Path
    steps: Mapping[str, int] = field(default_factory=dict)
    """Of variants that are trained by steps in place of minutes."""
    trained: Mapping[str, Path] = field(default_factory=dict)
    """Bundles of variants that were trained before."""

    @property
    def plain(self) -> ReenactTraining:
        """Settings that all variants start from."""
        return ReenactTraining(minutes=self.minutes, size=self.size)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    clip: str
    part: str
    variant: str
    minutes: float
    steps: int | None
    numbers: Mapping[str, float | None]
    note: str = ""


def animated_photo(shot: Shot, size: int) -> Subject:
    """Let a photo from the part that others train on be moved by the held-out part's params."""
    train_frames: Ints = np.arange(len(shot.track) * 2 // 3)
    square = portrait_crop(shot.track, shot.clip.size, size)
    rest = rest_frame(select(shot.params, train_frames))
    at = Window(rest + shot.track.start, rest + shot.track.start + 1)
    with Decoder(shot.clip) as decoder:
        picture = decoder.read(at)[0]
    one = np.array([rest])
    track = FaceTrack(
        0,
        shot.track.boxes[one],
        shot.track.landmarks[one],
        shot.track.scores[one],
        shot.track.observed[one],
    )
    # Mouth and wrinkles would be read from the very frames that are to be predicted.
    config = AnimateConfig(mouth=False, wrinkles=0, max_side=4096)
    photo = Photo(picture, track, select(shot.params, one))
    animation = Animation(photo, shot, config)
    # Photo and frames show one person: motion is taken as it is, not as change from rest.
    moved = shot.params.expression - photo.params.expression[0]
    names = shot.params.expression_names
    moved[:, [name.startswith("eyeBlink") for name in names]] = 0
    animation.motion = replace(
        animation.motion,
        expression=moved,
        rotation=shot.params.rotation,
        translation=shot.params.translation,
        gaze=shot.params.gaze,
    )
    rows = (np.arange(len(shot.clip)) - shot.track.start).clip(0, len(shot.track) - 1)
    method = PhotoAnimation(animation, rows, looks=False)
    # A clip of odd size loses a line, which is filled from the frames.
    return Subject(method, shot, train_frames, Crop(square.size, square.crop_from_frame[:1]))


def self_rows(scene: Scene, part: str, variants: Mapping[str, ReenactTraining]) -> Iterator[Row]:
    """Train each variant and let it repeat the held-out frames."""
    for name, config in variants.items():
        say(f"{scene.name}: {part}, {name}")
        with tempfile.TemporaryDirectory(dir=scene.folder) as folder:
            bundle = trained(scene, name, config, Path(folder) / "portrait.bundle")
            subject = subject_of(bundle, CPU)
            numbers = numbers_of(subject, scene.shot.clip)
            if part == "methods":
                show(scene, name, subject)
        kept = KEPT.get(name, ())
        note = "paints into the real frames; in brackets what it keeps of them" if kept else ""
        steps = bundle.training.get("steps") or None
        minutes = 0.0 if kept else config.minutes or 0.0
        yield Row(scene.name, part, name, minutes, steps, numbers, note)


def trained(scene: Scene, name: str, config: ReenactTraining, path: Path) -> Bundle:
    """Train a variant, or take what was trained before."""
    if name in scene.trained:
        return load_bundle(scene.trained[name])
    config = replace(config, steps=scene.steps.get(name))
    return train_portrait(scene.shot, path, config, scene.consents, progress=tell)


def pairs(words: Sequence[str]) -> Mapping[str, str]:
    """Read NAME=VALUE."""
    return dict(word.split("=", 1) for word in words)


def numbers_of(subject: Subject, clip: Clip) -> dict[str, float | None]:
    """Judge a method and keep the numbers of the table."""
    report = evaluate_subject(subject, clip, tell).report.json()
    return {key: report.get(key) for key in KEYS}


def methods(scene: Scene, chosen: Sequence[str]) -> Iterator[Row]:
    """Every method on the same clip."""
    plain = scene.plain
    presets = [name for name in chosen if name != "animate"]
    variants = {
        name: ReenactTraining(preset=name, minutes=plain.minutes, size=plain.size)
        for name in presets
    }
    yield from self_rows(scene, "methods", variants)
    if "animate" in chosen:
        say(f"{scene.name}: methods, animate")
        subject = animated_photo(scene.shot, scene.size)
        show(scene, "animate", subject)
        numbers = numbers_of(subject, scene.shot.clip)
        yield Row(scene.name, "methods", "animate", 0, None, numbers, "one photo; dark mouth")


def budget(scene: Scene, chosen: Sequence[str]) -> Iterator[Row]:
    """A sixth of the time for ours, all of it for the paper's."""
    plain = scene.plain
    yield from self_rows(
        scene,
        "budget",
        {
            "fast, a sixth": replace(plain, minutes=scene.minutes / 6),
            "paper, all": replace(plain, preset="paper", method=PaperConfig()),
        },
    )


def conditioning(scene: Scene, chosen: Sequence[str]) -> Iterator[Row]:
    """What each guide image is worth to the paper's network."""
    told: dict[str, PaperConfig] = {
        "color": PaperConfig(guides="color"),
        "+ correspondence": PaperConfig(guides="correspondence"),
        "+ gaze": PaperConfig(),
    }
    plain = replace(scene.plain, preset="paper", method=PaperConfig())
    variants = {name: replace(plain, method=paper) for name, paper in told.items()}
    yield from self_rows(scene, "conditioning", variants)


def window(scene: Scene, chosen: Sequence[str]) -> Iterator[Row]:
    """What the frames before are worth to the paper's network."""
    plain = replace(scene.plain, preset="paper", method=PaperConfig())
    variants = {str(n): replace(plain, method=PaperConfig(window=n)) for n in (1, 5, 11)}
    yield from self_rows(scene, "window", variants)


def length(scene: Scene, chosen: Sequence[str]) -> Iterator[Row]:
    """What more footage is worth: the same span, thinned out."""
    available = len(scene.shot.track) * 2 // 3
    counts = sorted({min(n, available) for n in LENGTHS})
    variants = {str(n): replace(scene.plain, max_frames=n) for n in counts}
    yield from self_rows(scene, "length", variants)


def cross(scene: Scene, chosen: Sequence[str]) -> Iterator[Row]:
    """Two actors perform one motion: what each method makes of it, against the truth.

    Methods with a pose of their own are asked for everything; all are asked for the mouth alone on
    the target's own performance. The right answers are rendered.
    """
    driver, truths = cross_clips(scene)
    for name in [name for name in chosen if name != "animate"]:
        with tempfile.TemporaryDirectory(dir=scene.folder) as folder:
            path = scene.trained.get(name, Path(folder) / "portrait.bundle")
            config = replace(scene.plain, preset=name, method=None, holdout="none")
            bundle = trained(scene, name, config, path)
            for task, truth in truths.items():
                if task == "full" and name in KEPT:
                    continue
                say(f"cross, {name}, {task}")
                result = Path(folder) / f"{task}.mp4"
                # One camera, one motion: rests differ between the clips, so nothing is relative.
                how = ReenactConfig(TransferConfig(mode=task, absolute=True))
                reenact(path, driver, result, how, tell)
                report = evaluate_pair(result, truth, tell).report.json()
                numbers = {key: report.get(key) for key in KEYS}
                steps = bundle.training.get("steps") or None
                minutes = 0.0 if name in KEPT else scene.minutes
                yield Row(scene.name, "cross", f"{name}, {task}", minutes, steps, numbers)


def cross_clips(scene: Scene) -> tuple[Path, Mapping[Mode, Path]]:
    """Film the driver, and the target doing the driver's motion, in full and by mouth alone."""
    camera = RenderConfig(scene.shot.clip.size)
    seconds = float(scene.shot.clip.seconds)
    before = Motion.from_seed(OWN_MOTION, seconds, style="expressive")
    motion = Motion.from_seed(SHARED_MOTION, seconds, style="expressive")
    moved = belongs(EXPRESSIONS, ["mouth"])
    mixed = replace(before, expression=np.where(moved, motion.expression, before.expression))
    films = {
        "driver": (DRIVER, motion),
        "full": (TARGET, motion),
        "mouth": (TARGET, mixed),
    }
    for name, (actor, performance) in films.items():
        path = scene.folder / f"cross_{name}.mp4"
        if not path.exists():
            write_actor_clip(Actor.from_seed(actor), performance, path, camera, progress=tell)
    truths: dict[Mode, Path] = {
        "full": scene.folder / "cross_full.mp4",
        "mouth": scene.folder / "cross_mouth.mp4",
    }
    return scene.folder / "cross_driver.mp4", truths


def show(scene: Scene, variant: str, subject: Subject) -> None:
    """Keep a few held-out frames for the figure, the real ones beside."""
    first, last = len(subject.train_frames), len(subject.shot.track) - 1
    rows = np.linspace(first, last, SHOWN + 2)[1:-1].astype(int)
    start = subject.shot.track.start
    for name in ("real", variant):
        strip = []
        with Decoder(subject.shot.clip) as decoder:
            for row in rows:
                frames = decoder.read(Window(int(row) + start, int(row) + start + 1))
                one = Window(int(row), int(row) + 1)
                shown = (
                    cut(frames, subject.crop(1)) if name == "real" else subject.repeat(one, frames)
                )
                strip.append(shown[0])
        picture = torch.cat(strip, 2).permute(1, 2, 0).clamp(0, 1).numpy()
        mpl.image.imsave(scene.folder / f"{scene.name}_{name}.png", picture)


def actor_clip(folder: Path, seconds: float, side: int) -> Path:
    """Film the actor that everything runs on where no clip is given."""
    path = folder / "actor.mp4"
    if not path.exists():
        motion = Motion.from_seed(OWN_MOTION, seconds, style="expressive")
        write_actor_clip(
            Actor.from_seed(TARGET), motion, path, RenderConfig((side, side)), sound=True
        )
    return path


def say(text: str) -> None:
    """Tell what is going on."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


def tell(stage: str, done: int, total: int) -> None:
    """Show progress on a terminal."""
    if sys.stderr.isatty():
        print(f"\r{stage} {done}/{total}   ", end="", file=sys.stderr)


@cache
def machine() -> str:
    """State the facts that timings depend on."""
    found = examine().machine
    memory = f"{found.memory_mb / 1024:.0f} GiB"
    here = (platform.machine(), found.system, f"{found.cores} cores", memory, found.accelerator)
    threads = f"torch {torch.__version__} on {torch.get_num_threads()} threads"
    return ", ".join((*here, f"Python {found.python}", threads))


class Results:
    """All rows so far, on disk: a later call goes on from an earlier one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "results.json"
        self.rows: list[Row] = []
        if self.path.exists():
            self.rows = [Row(**row) for row in json.loads(self.path.read_text())["rows"]]

    def add(self, row: Row) -> None:
        """Put a row in the place of an older one of the same name, and write everything."""
        key = (row.clip, row.part, row.variant)
        self.rows = [r for r in self.rows if (r.clip, r.part, r.variant) != key] + [row]
        facts = {"machine": machine(), "rows": [asdict(r) for r in self.rows]}
        self.path.write_text(json.dumps(facts, indent=1))
        (self.folder / "reenact.md").write_text(self.table())
        self.draw()

    def table(self) -> str:
        """One Markdown table; numbers that an editor kept from the real frame are in brackets."""
        lines = [f"Machine: {machine()}.", "", "| clip | part | variant | minutes | steps |"]
        lines[-1] += " " + " | ".join(KEYS) + " | note |"
        lines.append("|---" * (6 + len(KEYS)) + "|")
        ordered = sorted(self.rows, key=place)
        for row in ordered:
            kept = KEPT.get(row.variant, ()) if row.part == "methods" else ()
            cells = [cell(row.numbers.get(key), key in kept) for key in KEYS]
            head = [row.clip, row.part, row.variant, f"{row.minutes:g}", str(row.steps or "")]
            lines.append("| " + " | ".join([*head, *cells, row.note]) + " |")
        return "\n".join(lines) + "\n"

    def draw(self) -> None:
        """One figure: frames of every method, and a panel of bars for every other part."""
        mpl.use("Agg")
        from matplotlib import pyplot

        clips = sorted({row.clip for row in self.rows})
        strips = {clip: self._strips(clip) for clip in clips}
        tallest = max((len(found) for found in strips.values()), default=0)
        rows = max(tallest, 1)
        most = max((len(self._parts(clip)) for clip in clips), default=1)
        below_rows = max(-(-most // 2), 1)
        heights = [1.5 * rows, 3.0 * below_rows]
        figure = pyplot.figure(figsize=(7 * max(len(clips), 1), sum(heights)))
        outer = figure.add_gridspec(2, max(len(clips), 1), height_ratios=heights)
        for column, clip in enumerate(clips):
            grid = outer[0, column].subgridspec(rows, 1, hspace=0.05)
            for line, (name, picture) in enumerate(strips[clip]):
                axes = figure.add_subplot(grid[line])
                axes.imshow(picture)
                axes.set_ylabel(name, rotation=0, ha="right", va="center")
                axes.set_xticks([])
                axes.set_yticks([])
                if line == 0:
                    axes.set_title(clip)
            below = outer[1, column].subgridspec(below_rows, 2, hspace=0.7, wspace=0.6)
            for cell_number, part in enumerate(self._parts(clip)):
                self._bars(figure.add_subplot(below[cell_number]), clip, part)
        figure.savefig(self.folder / "reenact.png", dpi=90, bbox_inches="tight")
        pyplot.close(figure)

    def _parts(self, clip: str) -> list[str]:
        return [p for p in PARTS if any(r.part == p and r.clip == clip for r in self.rows)]

    def _strips(self, clip: str) -> list[tuple[str, Any]]:
        names = ("real", *METHODS)
        files = [(name, self.folder / f"{clip}_{name}.png") for name in names]
        return [(name, mpl.image.imread(file)) for name, file in files if file.exists()]

    def _bars(self, axes: Any, clip: str, part: str) -> None:
        rows = [row for row in self.rows if row.clip == clip and row.part == part]
        rows.sort(key=place)
        values = [row.numbers.get("psnr_face") or 0 for row in rows]
        # Pale: paints into the real frames, whose face is partly or wholly kept.
        colors = ["#c3cfe0" if row.variant.split(",")[0] in KEPT else "#4a6fa5" for row in rows]
        axes.barh(
            [textwrap.fill(row.variant, 12, break_long_words=False) for row in rows],
            values,
            color=colors,
        )
        axes.invert_yaxis()
        axes.set_title(f"{part}: PSNR inside the face, dB", fontsize=9)
        if any(values):
            axes.set_xlim(max(0, min(v for v in values if v) - 3), max(values) + 1)
        axes.tick_params(labelsize=8)


def place(row: Row) -> tuple[str, int, int]:
    """Order rows by clip and part, methods as they are named, other variants as they came."""
    method = METHODS.index(row.variant) if row.part == "methods" else 0
    return row.clip, PARTS.index(row.part), method


def cell(value: float | None, kept: bool) -> str:
    """Format a number; in brackets where it is not the method's own doing."""
    if value is None:
        return "-"
    return f"({value:.3g})" if kept else f"{value:.3g}"


RUNS: Mapping[str, Callable[[Scene, Sequence[str]], Iterator[Row]]] = {
    "methods": methods,
    "budget": budget,
    "conditioning": conditioning,
    "window": window,
    "length": length,
    "cross": cross,
}


def main() -> None:
    """Run the chosen parts on the chosen clips."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, nargs="*", default=[], help="default: the actor")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each training")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--steps", nargs="*", default=[], metavar="NAME=N")
    parser.add_argument("--trained", nargs="*", default=[], metavar="NAME=BUNDLE")
    parser.add_argument("--consent", type=Path, nargs="*", default=[])
    parser.add_argument("--size", type=int, default=256, help="side of the portraits")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the actor's clip")
    parser.add_argument("--side", type=int, default=320, help="side of the actor's clip")
    parser.add_argument("-o", "--output", type=Path, default=Path("reenact_figures"))
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    consents = tuple(load_consent(path) for path in chosen.consent)
    results = Results(chosen.output)
    say(machine())
    clips = chosen.clip or [actor_clip(chosen.output, chosen.seconds, chosen.side)]
    for clip in clips:
        shot = analyze(open_clip(clip), progress=tell)[0]
        scene = Scene(
            clip.stem,
            shot,
            consents,
            chosen.minutes,
            chosen.size,
            chosen.output,
            {name: int(count) for name, count in pairs(chosen.steps).items()},
            {name: Path(path) for name, path in pairs(chosen.trained).items()},
        )
        for part in chosen.only:
            if part == "cross" and chosen.clip:
                say("cross: left out, what is right is known for actors only")
                continue
            for row in RUNS[part](scene, chosen.methods):
                results.add(row)
    print(results.table())


if __name__ == "__main__":
    main()
