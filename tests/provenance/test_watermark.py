"""The mark is faint, the same however frames are cut into windows, and found by its own test."""

from __future__ import annotations

import io
import math
from datetime import UTC, datetime

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.decode import open_clip, stream
from likeness.encode import encode
from likeness.errors import ContractError
from likeness.provenance import Ingredient, Manifest
from likeness.provenance.watermark import (
    LEVEL,
    PUBLIC_KEY,
    Detector,
    Stamp,
    Watermark,
    WatermarkReading,
    code,
    hide,
)

MARK = Watermark(0x0123456789ABCDEF)


def scenery(count: int, size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    """(T,3,H,W) of a textured scene that drifts, with camera noise."""
    generator = torch.Generator().manual_seed(seed)
    still = torch.full((1, 3, *size), 0.5)
    for side in (3, 9, 31, 93):
        coarse = torch.randn((1, 3, side, side), generator=generator)
        fine = torch.nn.functional.interpolate(coarse, size, mode="bicubic", align_corners=False)
        still = still + 0.3 / side**0.6 * fine
    frames = torch.cat([still.roll(t, 3) for t in range(count)])
    return (frames + 0.01 * torch.randn(frames.shape, generator=generator)).clamp(0.02, 0.98)


def reading(frames: torch.Tensor, key: bytes = PUBLIC_KEY) -> WatermarkReading:
    detector = Detector((frames.shape[2], frames.shape[3]), key)
    detector.add(frames)
    return detector.read()


def coded(frames: torch.Tensor, crf: int) -> torch.Tensor:
    """The same frames after H.264 at a constant rate factor."""
    pictures = (frames * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", 25, options={"crf": str(crf)}, width=frames.shape[3], height=frames.shape[2]
        )
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2).float() / 255


def resized(frames: torch.Tensor, scale: float) -> torch.Tensor:
    return torch.nn.functional.interpolate(
        frames, scale_factor=scale, mode="bilinear", antialias=True
    )


@pytest.mark.parametrize("size", [(64, 48), (61, 83), (8, 8), (5, 3), (1, 1), (256, 256)])
@pytest.mark.parametrize("busy", [0.0, 0.3])
def test_the_compiled_loops_do_what_the_slow_ones_do(size, busy):
    rng = np.random.default_rng(size[0])
    frame = (0.5 + busy * rng.standard_normal((3, *size))).clip(0, 1).astype(np.float32)
    pattern = MARK.pattern(size)
    fast = np.empty_like(frame)
    hide.add(frame, pattern, hide.strengths(frame, hide.block_power(pattern)), fast)
    np.testing.assert_allclose(fast, hide.hidden(frame, pattern), atol=2e-6)


@pytest.mark.parametrize("size", [(128, 128), (256, 256), (512, 512), (540, 960), (1080, 608)])
@pytest.mark.parametrize("busy", [0.0, 0.02, 0.3])
def test_the_mark_is_at_least_42_db_down_and_faint_where_nothing_hides_it(size, busy):
    generator = torch.Generator().manual_seed(1)
    frames = (0.5 + busy * torch.randn((1, 3, *size), generator=generator)).clamp(0, 1)
    change = (MARK.embed(frames) - frames) * 255
    assert float(change.square().mean().sqrt()) < 255 / 10 ** (42 / 20)
    if busy == 0:
        assert float(change.square().mean().sqrt()) < 0.85
        assert float(change.abs().max()) < 4
    if busy < 0.3:
        # Clipping aside, red, green and blue move alike.
        assert float((change[:, 0] - change[:, 1]).abs().max()) < 1e-4
        assert abs(float(change.mean())) < 0.15


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(0, 1000))
def test_windows_make_no_difference(lengths, seed):
    frames = scenery(sum(lengths), (40, 56), seed)
    embedder = MARK.embedder((40, 56))
    whole = embedder.embed(frames)
    parts = torch.cat([embedder.embed(part) for part in frames.split(lengths)])
    assert torch.equal(whole, parts)


def test_reading_goes_on_frame_by_frame():
    marked = MARK.embed(scenery(5, (256, 256)))
    detector = Detector((256, 256))
    for part in marked.split([2, 1, 2]):
        detector.add(part)
    assert detector.read() == reading(marked)
    assert detector.read() == reading(marked)


@pytest.mark.parametrize(
    ("size", "scale", "part"),
    [((256, 256), 1.0, 1.0), ((320, 448), 0.5, 1.0), ((256, 256), 1.5, 1.0),
     ((384, 384), 0.87, 1.0), ((384, 384), 1.0, 0.75), ((512, 448), 0.7, 0.75),
     ((1080, 608), 0.5, 1.0)],
)  # fmt: skip
def test_the_payload_survives_scaling_and_cutting(size, scale, part):
    frames = resized(MARK.embed(scenery(6, size)), scale)
    height, width = int(frames.shape[2] * part), int(frames.shape[3] * part)
    found = reading(frames[..., -height:, -width:])
    assert found.present
    assert found.p_value < 1e-9
    assert found.payload == MARK.payload
    expected = scale * max(1, round(min(size) / 512)) / max(1, round(min(height, width) / 512))
    assert found.scale == pytest.approx(expected, rel=0.004)


def test_strong_compression_leaves_the_mark():
    found = reading(coded(MARK.embed(scenery(1, (256, 256)).expand(24, -1, -1, -1)), 33))
    assert found.present
    assert found.frames == 24


def test_brightness_and_contrast_leave_the_mark():
    marked = MARK.embed(scenery(6, (256, 256)))
    for changed in ((marked - 0.5) * 0.6 + 0.4, marked * 0.5, (marked + 0.15).clamp(0, 1)):
        assert reading(changed).payload == MARK.payload


def test_unmarked_frames_and_other_keys_give_nothing():
    plain = scenery(6, (256, 256))
    found = reading(plain)
    assert (found.present, found.payload) == (False, None)
    assert found.p_value > 1e-3
    mine = Watermark(5, key=b"mine")
    assert reading(mine.embed(plain)).payload is None
    assert reading(mine.embed(plain), b"mine").payload == 5


def test_the_p_value_is_honest():
    # Each reading scores all places of one scale; over many keys its bound must hold with room.
    plain = scenery(4, (128, 128))
    values = np.array([reading(plain, bytes([i])).p_value for i in range(5)])
    assert values.min() > 0.01
    assert not (values < LEVEL).any()


def test_a_single_picture_is_enough_when_nothing_happened_to_it():
    assert reading(MARK.embed(scenery(1, (384, 384)))).payload == MARK.payload


def test_frames_that_are_too_few_or_too_small_say_nothing():
    assert Detector((256, 256)).read().p_value == 1
    found = reading(MARK.embed(scenery(2, (24, 24))))
    assert (found.present, found.payload, found.p_value) == (False, None, 1.0)


def test_wrong_shapes_and_payloads_are_refused():
    with pytest.raises(ContractError, match="expected \\(n, \\*\\(3, 8, 8\\)\\)"):
        MARK.embedder((8, 8)).embed(torch.zeros(1, 3, 8, 9))
    with pytest.raises(ContractError, match="expected"):
        Detector((8, 8)).add(torch.zeros(3, 8, 8))
    for payload in (-1, 1 << 64):
        with pytest.raises(ContractError, match="2\\^64"):
            Watermark(payload)


@settings(deadline=None, max_examples=30)
@given(st.binary(min_size=8, max_size=8), st.integers(0, 1000))
def test_the_code_mends_wrong_bytes(data, seed):
    rng = np.random.default_rng(seed)
    word = code.encode(data)
    assert word[:8] == data
    scores = 0.9 * rng.random((code.LENGTH, 256))
    scores[np.arange(code.LENGTH), list(word)] = 1
    for place in rng.choice(code.LENGTH, 4, replace=False):
        scores[place, word[place] ^ 1 + int(rng.integers(255))] = 1.05
    assert code.decode(scores)[0] == data


def test_any_eight_bytes_fix_the_word():
    word = np.frombuffer(code.encode(b"likeness"), np.uint8)
    known = (15, 2, 9, 4, 11, 0, 7, 13)
    parts = code.times(word[list(known)][:, None], code.completion(known))
    assert np.array_equal(np.bitwise_xor.reduce(parts, axis=0), word)
    # In GF(256) modulo 0x11D, from the field's tables: 0x53 * 0xCA.
    product = code.times(np.array([0x53], np.uint8), np.array([2], np.uint8))
    assert product.tolist() == [0xA6]


def test_the_stamp_leads_back_to_the_manifest():
    made = Manifest(
        "t", "reenact", (Ingredient("bundle", "a.bundle", "deadbeef" * 8),),
        created="2026-11-21T15:00:00+00:00",
    )  # fmt: skip
    stamp = Stamp.of(made)
    assert stamp == Stamp("deadbeef", datetime(2026, 11, 21, 15, tzinfo=UTC))
    assert Stamp.unpack(stamp.payload()) == stamp
    assert Stamp.of(Manifest("t", "render")).origin == Manifest("t", "render").digest()[:8]
    with pytest.raises(ContractError, match="ISO 8601"):
        Stamp.of(Manifest("t", "render", created="yesterday"))


def test_everything_that_is_encoded_carries_the_mark(tmp_path, make_clip, frames):
    like = open_clip(make_clip(tmp_path / "in.mp4", frames(6, (384, 384))))
    manifest = Manifest("t", "reenact", (Ingredient("bundle", "a.bundle", "00ff00ff" * 8),))
    for name in ("o.mp4", "pictures"):
        with encode(tmp_path / name, like, manifest) as video:
            video.append(scenery(6, (384, 384)))
        detector = Detector((384, 384))
        for _, part in stream(open_clip(tmp_path / name)):
            detector.add(part)
        found = detector.read()
        assert found.payload is not None
        assert Stamp.unpack(found.payload) == Stamp.of(manifest)
        assert math.isclose(found.scale, 1, rel_tol=0.003)
