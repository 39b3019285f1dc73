"""One-to-one swaps in the pipeline: whose crop, whose face type, alike in any window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.condition.face_types import face_crop, hull_mask, sixty_eight
from likeness.config import to_json
from likeness.decode import Decoder
from likeness.errors import BundleError, MediaError
from likeness.geometry import apply
from likeness.importers.checkpoints import import_checkpoint
from likeness.methods.swap.autoencoder.method import OneToOneSwapper, face_type_of, open_one_to_one
from likeness.methods.swap.view import SwapTarget
from likeness.plan.plan import repetition
from likeness.store import save_shot
from likeness.synthesize.autoencoder import Autoencoder, AutoencoderConfig, Face
from likeness.types import Bundle, Shot, Weights, Window
from likeness.verbs.swap_faces import find_faces, open_material
from tests.importers.pickled import saehd
from tests.synthesize.test_autoencoder import official_state, small

CPU = torch.device("cpu")


def frames_of(shot: Shot, start: int, stop: int) -> torch.Tensor:
    with Decoder(shot.clip) as decoder:
        return decoder.read(Window(start, stop)).clone()


def view_of(shot: Shot, start: int, stop: int):  # type: ignore[no-untyped-def]
    target = SwapTarget.of(shot, np.arange(len(shot.clip)) / 25)
    return target.view(Window(start, stop), frames_of(shot, start, stop))


def test_the_networks_crop_is_cut_and_laid_back(actor_shot: Shot) -> None:
    given: list[torch.Tensor] = []

    def same(rgb: torch.Tensor) -> Face:
        given.append(rgb)
        return Face(rgb, torch.ones_like(rgb[:, :1]))

    view = view_of(actor_shot, 3, 5)
    face = OneToOneSwapper(same, 96, "full").draw(view)
    assert [tuple(rgb.shape) for rgb in given] == [(1, 3, 96, 96)] * 2
    # A network that changes nothing gives the target's own pixels back, where its crop reaches.
    points = sixty_eight(view.landmarks)
    whole = hull_mask(points, max(view.crop.size))
    inside = torch.from_numpy(whole[..., : view.crop.size[0], : view.crop.size[1]]) > 0.99
    assert bool((face.alpha[inside] > 0.99).all())
    apart = (face.rgb - view.pixels).abs().mean(1, keepdim=True)[inside]
    assert float(apart.mean()) < 0.012
    # The square's corner lies where the face type says.
    frames = sixty_eight(actor_shot.track.landmarks[3:5])
    crop = face_crop(frames, "full", 96)
    laid = apply(crop.crop_from_frame, frames)
    assert np.abs(laid.mean(1) - 48).max() < 20


def test_a_frame_is_drawn_alike_in_any_window(actor_shot: Shot) -> None:
    torch.manual_seed(0)
    network = Autoencoder(AutoencoderConfig(size=64, inter=8, encoder=4, decoder=4, mask=3))
    weights = Weights("autoencoder", to_json(network.config), network.state_dict())
    facts = {"size": 64, "face_type": "full"}
    bundle = Bundle("swap.df", {"generator": weights}, facts, {}, "")
    method = open_one_to_one(bundle, repetition(actor_shot), CPU)
    many = method.swapper.draw(view_of(actor_shot, 0, 4))
    one = method.swapper.draw(view_of(actor_shot, 2, 3))
    assert torch.equal(many.rgb[2:3], one.rgb)
    assert torch.equal(many.alpha[2:3], one.alpha)


def test_a_model_folder_of_deepfacelab_swaps(actor_shot: Shot, tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = official_state(small("df-ud"))
    folder = saehd(tmp_path / "model", state, "df-ud")
    bundle = import_checkpoint("dfl", folder)
    # "wf", as its options say.
    assert face_type_of(bundle) == "whole_face"
    method = open_one_to_one(bundle, repetition(actor_shot), CPU)
    layer = method.synthesize(method.condition(Window(0, 2), frames_of(actor_shot, 0, 2)))
    assert layer.rgb.shape == (2, 3, *layer.crop.size)
    assert bool(torch.isfinite(layer.rgb).all())


def test_face_types_are_read_or_refused() -> None:
    def told(**facts: str) -> Bundle:
        return Bundle("swap.df", {}, facts, {}, "")

    assert face_type_of(told(face_type="head")) == "head"
    assert face_type_of(told()) == "whole_face"
    with pytest.raises(BundleError, match="expected one of half"):
        face_type_of(told(face_type="profile"))
    other = Bundle("swap.df", {"generator": Weights("simswap", {}, {})}, {}, {}, "")
    with pytest.raises(BundleError, match="expected one of autoencoder"):
        open_one_to_one(other, None, CPU)  # type: ignore[arg-type]


def test_a_person_is_found_in_shots_and_in_folders(actor_shot: Shot, tmp_path: Path) -> None:
    save_shot(actor_shot, tmp_path / "anna.shot")
    faces = find_faces(open_material(tmp_path / "anna.shot"))
    assert [len(part) for part in faces] == [len(actor_shot.clip)]
    np.testing.assert_array_equal(faces[0].points, sixty_eight(actor_shot.track.landmarks))
    empty = tmp_path / "photos"
    empty.mkdir()
    (empty / "notes.txt").write_text("no picture")
    with pytest.raises(MediaError, match="no clip and no photo"):
        open_material(empty)
