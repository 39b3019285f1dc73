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
    PUBLIC_KEY,
    Detector,
    Stamp,
    Watermark,
    WatermarkReading,
    code,
    hide,
)
from likeness.provenance.watermark.evidence import Evidence
from likeness.provenance.watermark.pattern import waves
from likeness.provenance.watermark.search import Spectra, scores, search

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
    frames = (0.5 + busy * torch.randn((2, 3, *size), generator=generator)).clamp(0, 1)
    change = (MARK.embed(frames) - frames) * 255
    assert (change.square().mean((1, 2, 3)).sqrt() < 255 / 10 ** (42 / 20)).all()
    if busy == 0:
        assert float(change.square().mean().sqrt()) < 0.85
        assert float(change.abs().max()) < 4
    if busy < 0.3:
        # Clipping aside, red, green and blue move alike.
        assert float((change[:, 0] - change[:, 1]).abs().max()) < 1e-4
        assert abs(float(change.mean())) < 0.15


@settings(max_examples=20)
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


def bricks(size: int, seed: int = 0) -> torch.Tensor:
    """(1,3,H,W) of a wall of small things, strongly textured all over."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size]
    row = y // 14
    tone = rng.uniform(0.15, 0.75, (size, size))[row, (x + 13 * (row % 2)) // 27]
    mortar = ((y % 14) < 2) | (((x + 13 * (row % 2)) % 27) < 2)
    wall = np.where(mortar, 0.85, tone) + 0.05 * rng.standard_normal((size, size))
    return torch.from_numpy(np.stack([wall, 0.8 * wall, 0.7 * wall]).clip(0, 1)[None]).float()


@pytest.mark.parametrize("busy", [False, True])
def test_strong_compression_leaves_the_mark(busy):
    still = bricks(256) if busy else scenery(1, (256, 256))
    found = reading(coded(MARK.embed(still.expand(24, -1, -1, -1)), 33))
    assert found.present
    assert found.p_value < 1e-8
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
    evidence = Evidence((128, 128))
    evidence.add(scenery(4, (128, 128)))
    picture = evidence.picture()
    assert picture is not None
    spectra = Spectra(picture)
    keys = [bytes([i]) for i in range(40)]
    values = np.array([search(spectra, key, 4).p_value for key in keys])
    for level in (0.5, 0.2, 0.05):
        assert (values <= level).mean() <= level
    # Before places and scales are paid for: the bound holds at every place, over the keys.
    surfaces = np.stack([scores(spectra.at(1.0), waves(key, 0)) for key in keys])
    assert surfaces.std() == pytest.approx(1, rel=0.05)
    for score in (1.0, 2.0, 3.0, 4.0):
        assert (surfaces > score).mean() <= math.exp(-(score**2) / 2)


def test_a_whole_search_takes_one_picture_and_any_key():
    marked = MARK.embed(scenery(3, (256, 256)))
    evidence = Evidence((256, 256))
    evidence.add(marked)
    picture = evidence.picture()
    assert picture is not None
    spectra = Spectra(picture)
    assert search(spectra, b"other", 3).payload is None
    assert search(spectra, PUBLIC_KEY, 3) == reading(marked)


def test_the_mark_lies_where_the_first_frame_agrees_with_it():
    plain = scenery(1, (256, 256))
    still = plain.expand(4, -1, -1, -1)
    informed = reading(MARK.embed(still))
    evidence = Evidence((256, 256))
    evidence.add(plain)
    picture = evidence.picture()
    assert picture is not None
    agreement = scores(Spectra(picture).at(1.0), MARK.waves((256, 256)))
    y, x = (int(place) // 2 for place in informed.offset)
    # Two deviations above what a place chosen blindly would find.
    assert agreement[y, x] > agreement.mean() + 2 * agreement.std()
    embedder = MARK.embedder((256, 256))
    first = embedder.embed(still[:1]) - still[:1]
    later = torch.full((1, 3, 256, 256), 0.5)
    change = embedder.embed(later) - later
    both = torch.stack([first[0, 0].flatten(), change[0, 0].flatten()])
    assert float(torch.corrcoef(both)[0, 1]) > 0.8


def test_frames_that_show_nothing_do_not_decide_where_the_mark_lies():
    shown = scenery(2, (64, 96))
    nothing = torch.zeros((2, 3, 64, 96))
    late = MARK.embed(torch.cat([nothing, shown]))
    assert torch.equal(late[2:], MARK.embed(shown))
    assert float((late[:2] - nothing).abs().max()) > 0


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


@settings(max_examples=30)
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
