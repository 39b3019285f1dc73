"""e4e: layout of a small encoder, what its heads read, official keys, descent."""

import pytest
import torch

from likeness.errors import BundleError, ConfigError, ContractError
from likeness.nets import inversion
from likeness.nets.checkpoints import shapes_of
from likeness.nets.inversion import Inversion, InversionConfig

SMALL = InversionConfig(size=64, layers=10, code=40, widths=(16, 20, 32, 40), depths=(2, 1, 2, 1))


@pytest.fixture
def encoder() -> Inversion:
    torch.manual_seed(0)
    network = Inversion(SMALL).eval()
    network.average.copy_(torch.randn(10, 40))
    return network


def official_state(network: Inversion) -> dict[str, torch.Tensor]:
    """The network's tensors under e4e's names, and the average beside them."""
    table = {ours: theirs for theirs, ours in inversion.modules(network.config).items()}
    answer = {}
    for key, tensor in network.state_dict().items():
        module, _, leaf = key.rpartition(".")
        answer[f"{table[module]}.{leaf}" if module else "latent_avg"] = tensor
    return answer


def test_the_published_sizes() -> None:
    for layers, parameters, keys in ((18, 267_136_704, 621), (14, 209_450_688, 565)):
        with torch.device("meta"):
            network = Inversion(InversionConfig(layers=layers))
            codes = network(torch.empty(2, 3, 256, 256)).codes
        assert codes.shape == (2, layers, 512)
        assert sum(p.numel() for p in network.parameters()) == parameters
        assert len(network.state_dict()) == keys + 1


def test_heads_read_three_maps_and_answer_a_pixel(encoder: Inversion) -> None:
    with torch.no_grad():
        maps = encoder.maps(torch.rand(1, 3, 64, 64))
    assert [m.shape[1:] for m in maps] == [(40, 4, 4), (40, 8, 8), (40, 16, 16)]
    assert [SMALL.head_halvings(i) for i in (0, 2, 3, 6, 7)] == [2, 2, 3, 3, 4]


def test_the_first_head_moves_all_codes_and_the_others_their_own(encoder: Inversion) -> None:
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = encoder(picture).codes
        encoder.heads[0].linear.bias += 1
        encoder.heads[4].linear.bias += 2
        moved = encoder(picture).codes - before
    expected = torch.ones(10)
    expected[4] = 3
    torch.testing.assert_close(moved[0].mean(1), expected, atol=1e-5, rtol=0)


def test_the_average_is_added(encoder: Inversion) -> None:
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = encoder(picture).codes
        average = encoder.average.clone()
        encoder.average.zero_()
        offsets = encoder(picture).codes
    torch.testing.assert_close(before, offsets + average, atol=1e-5, rtol=0)


def test_every_tensor_learns() -> None:
    torch.manual_seed(0)
    network = Inversion(SMALL)
    network(torch.rand(2, 3, 64, 64)).codes.square().mean().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


def test_folded_answers_the_same(encoder: Inversion) -> None:
    generator = torch.Generator().manual_seed(1)
    for name, buffer in encoder.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    picture = torch.rand(2, 3, 64, 64, generator=generator)
    with torch.no_grad():
        exact = encoder(picture).codes
        torch.testing.assert_close(encoder.folded()(picture).codes, exact, atol=1e-5, rtol=0)
        half = encoder.folded(torch.bfloat16)(picture).codes
    assert half.dtype == torch.float32
    moved = (exact - encoder.average).std()
    assert float((half - exact).abs().mean() / moved) < 0.03


def test_official_keys_and_back(encoder: Inversion) -> None:
    official = official_state(encoder)
    assert "body.1.res_layer.5.fc1.weight" in official
    assert inversion.infer(shapes_of(official)) == SMALL
    again = inversion.rename(official)
    other = Inversion(SMALL).eval()
    other.load_state_dict(again)
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(other(picture).codes, encoder(picture).codes)
    row = {**official, "latent_avg": official["latent_avg"][0]}
    assert torch.equal(inversion.rename(row)["average"], encoder.average[:1].expand(10, -1))
    del row["latent_avg"]
    assert float(inversion.rename(row)["average"].abs().max()) == 0


def test_what_is_no_encoder_is_refused(encoder: Inversion) -> None:
    official = official_state(encoder)
    with pytest.raises(BundleError, match=r"no tensor is called 'styles.0.linear.weight'"):
        inversion.infer({"fc.weight": (1,)})
    with pytest.raises(BundleError, match="have no place"):
        inversion.rename({**official, "decoder.conv1.weight": torch.zeros(1)})
    with pytest.raises(BundleError, match="latent_avg has shape"):
        inversion.rename({**official, "latent_avg": torch.zeros(7, 40)})
    shapes = shapes_of(official)
    with pytest.raises(BundleError, match="four growing stages"):
        inversion.infer({**shapes, "body.5.res_layer.3.weight": (20, 40, 3, 3)})


def test_settings_and_shapes_are_checked(encoder: Inversion) -> None:
    with pytest.raises(ConfigError, match="power of two"):
        InversionConfig(size=100)
    with pytest.raises(ConfigError, match="the last width to be the code's"):
        InversionConfig(code=256)
    with pytest.raises(ContractError, match=r"expected \(N, 3, 64, 64\)"):
        encoder(torch.zeros(1, 3, 256, 256))
