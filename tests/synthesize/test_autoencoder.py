"""One-to-one networks: sizes of all option sets, what is shared, DeepFaceLab's layouts."""

import itertools

import pytest
import torch

from likeness.errors import BundleError, ConfigError, ContractError
from likeness.nets.checkpoints import shapes_of
from likeness.synthesize import autoencoder_published as published
from likeness.synthesize.autoencoder import Autoencoder, AutoencoderConfig

ARCHIS = [
    f"{layout}-{''.join(letters)}"
    for layout in ("df", "liae")
    for count in range(5)
    for letters in itertools.combinations("udtc", count)
]


def small(archi: str, size: int = 64) -> AutoencoderConfig:
    """A network of a few thousand weights."""
    layout, _, letters = archi.partition("-")
    return AutoencoderConfig(
        layout="df" if layout == "df" else "liae",
        size=size,
        normalized="u" in letters,
        doubled="d" in letters,
        deep="t" in letters,
        cosine="c" in letters,
        inter=8,
        encoder=4,
        decoder=6,
        mask=5,
    )


def official_state(config: AutoencoderConfig) -> dict[str, torch.Tensor]:
    """Random tensors under DeepFaceLab's names, with the shapes that they have there."""
    shapes = shapes_of(Autoencoder(config).state_dict())
    answer = {}
    for theirs, (ours, _) in published.names(config).items():
        shape = shapes[ours]
        if len(shape) == 4:
            shape = (shape[2], shape[3], shape[1], shape[0])
        answer[theirs] = torch.randn(shape[::-1] if len(shape) == 2 else shape)
    return answer


@pytest.mark.parametrize("archi", ARCHIS)
def test_every_option_set_draws_and_is_read_back_from_its_tensors(archi: str) -> None:
    torch.manual_seed(0)
    config = small(archi, size=96)
    network = Autoencoder(config).eval()
    with torch.no_grad():
        face = network(torch.rand(2, 3, 96, 96))
    assert face.rgb.shape == (2, 3, 96, 96)
    assert face.mask.shape == (2, 1, 96, 96)
    assert 0 <= float(face.rgb.min()) < float(face.rgb.max()) <= 1
    official = official_state(config)
    assert published.infer(shapes_of(official), archi) == config
    network.load_state_dict(published.rename(official))


@pytest.mark.parametrize(("archi", "millions"), [("df-ud", 54.47), ("liae-ud", 82.38)])
def test_the_published_sizes(archi: str, millions: float) -> None:
    layout, doubled = archi.split("-")[0], "d" in archi
    with torch.device("meta"):
        network = Autoencoder(
            AutoencoderConfig(layout="df" if layout == "df" else "liae", doubled=doubled)
        )
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)


def test_the_normalized_code_has_unit_mean_square() -> None:
    torch.manual_seed(0)
    network = Autoencoder(small("df-u"))
    network.encoder.layers[-1].conv.weight.data.mul_(30)
    code = network.encode(torch.rand(3, 3, 64, 64)).detach()
    torch.testing.assert_close(code.square().mean(1), torch.ones(3), atol=1e-4, rtol=0)


def test_what_is_shared_and_what_is_not() -> None:
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 64, 64)
    for archi, own in (("df", "decoder_target"), ("liae", "inter_target")):
        network = Autoencoder(small(archi)).eval()
        network.reconstruct_target(picture).rgb.mean().backward()
        touched = {n.split(".")[0] for n, p in network.named_parameters() if p.grad is not None}
        assert own in touched
        network.zero_grad()
        network(picture).rgb.mean().backward()
        used = {n.split(".")[0] for n, p in network.named_parameters() if p.grad is not None}
        assert own not in used
        assert {"encoder"} <= used & touched
        source = network.source_code(network.encode(picture))
        target = network.target_code(network.encode(picture))
        assert source.shape == target.shape
        assert torch.equal(source, target) == (archi == "df")


def test_a_small_one_learns_two_people_and_swaps_them() -> None:
    torch.manual_seed(0)
    network = Autoencoder(small("df-d"))
    # Two "people" by color; what they share is where a bright spot is.
    spots = torch.zeros(4, 1, 64, 64)
    for i, spot in enumerate(spots):
        spot[:, 16 * i : 16 * i + 16] = 0.4
    source = spots + torch.tensor([0.5, 0.2, 0.1])[:, None, None]
    target = spots + torch.tensor([0.1, 0.2, 0.5])[:, None, None]
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(80):
        error = (network(source).rgb - source).square().mean()
        error = error + (network.reconstruct_target(target).rgb - target).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    swapped = network(target).rgb.detach()
    assert float((swapped - source).square().mean()) < 0.5 * float(
        (swapped - target).square().mean()
    )


def test_folded_answers_the_same() -> None:
    torch.manual_seed(0)
    network = Autoencoder(small("liae-udt")).eval()
    picture = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        exact = network(picture)
        torch.testing.assert_close(network.folded()(picture), exact, atol=1e-5, rtol=0)
        half = network.folded(torch.bfloat16)(picture)
    assert half.rgb.dtype == half.mask.dtype == torch.float32
    assert float((half.rgb - exact.rgb).abs().mean()) < 1 / 255


def test_pictures_are_rgb_where_the_official_ones_are_bgr() -> None:
    torch.manual_seed(0)
    config = small("df-d")
    official = official_state(config)
    ours = published.rename(official)
    kernel = official["encoder/down1/downs_0/conv1/weight:0"]
    torch.testing.assert_close(
        ours["encoder.layers.0.conv.weight"][:, 0], kernel[:, :, 2].permute(2, 0, 1)
    )
    for number in range(4):
        bias = official[f"decoder_src/out_conv{number or ''}/bias:0"]
        assert torch.equal(ours[f"decoder_source.colors.{number}.bias"], bias.flip(0))


def test_depth_to_space_becomes_pixel_shuffle() -> None:
    torch.manual_seed(0)
    config = small("df")
    official = official_state(config)
    ours = published.rename(official)
    x = torch.randn(1, config.inter_width, 4, 4)
    kernel = official["inter/upscale1/conv1/weight:0"].permute(3, 2, 0, 1)
    bias = official["inter/upscale1/conv1/bias:0"]
    y = torch.nn.functional.conv2d(x, kernel, bias, padding=1)
    blocks = y.reshape(1, 2, 2, -1, 4, 4)
    expected = blocks.permute(0, 3, 4, 1, 5, 2).reshape(1, -1, 8, 8)
    weight, shift = ours["inter.up.conv.weight"], ours["inter.up.conv.bias"]
    found = torch.nn.functional.conv2d(x, weight, shift, padding=1)
    torch.testing.assert_close(torch.nn.functional.pixel_shuffle(found, 2), expected)


def test_what_is_no_model_or_another_one_is_refused() -> None:
    official = official_state(small("liae-ud"))
    shapes = shapes_of(official)
    with pytest.raises(BundleError, match="leave no trace"):
        published.infer(shapes)
    with pytest.raises(BundleError, match="belong to another model"):
        published.infer(shapes, "liae-u")
    with pytest.raises(BundleError, match="expected df or liae"):
        published.infer(shapes, "dfhd")
    with pytest.raises(BundleError, match="no tensor is called 'inter/dense2/weight:0'"):
        published.infer({"fc.weight": (1, 2)}, "df")
    with pytest.raises(BundleError, match="1 tensors have no place"):
        published.rename({**official, "decoder/extra:0": torch.zeros(1)})
    with pytest.raises(BundleError, match="1 are missing"):
        published.rename({k: v for k, v in official.items() if k != "inter_B/dense1/bias:0"})
    wrong = {**shapes, "inter_AB/dense1/weight:0": (99, 8)}
    with pytest.raises(BundleError, match="answers 99 numbers"):
        published.infer(wrong, "liae-ud")


def test_settings_and_shapes_are_checked() -> None:
    with pytest.raises(ConfigError, match="multiple of 32"):
        AutoencoderConfig(size=80, doubled=True)
    with pytest.raises(ConfigError, match="df or liae"):
        AutoencoderConfig(layout="sae")  # type: ignore[arg-type]
    with pytest.raises(ContractError, match=r"expected \(N, 3, 64, 64\)"):
        Autoencoder(small("df"))(torch.zeros(1, 3, 32, 32))
