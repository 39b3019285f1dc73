"""StyleGAN2: fast ways against the definitions, spaces, noise, gradients, published layouts."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from likeness.errors import BundleError, ConfigError, ContractError
from likeness.nets.checkpoints import shapes_of
from likeness.nets.latents import Styles, W, WPlus
from likeness.synthesize import stylegan_filters as filters
from likeness.synthesize import stylegan_layers as layers
from likeness.synthesize import stylegan_published as published
from likeness.synthesize.stylegan import Stylegan, StyleganConfig, channels
from likeness.synthesize.stylegan_discriminator import (
    StyleganDiscriminator,
    StyleganDiscriminatorConfig,
    batch_deviation,
)

SMALL = StyleganConfig(widths=(12, 8, 6, 4), latent=10, code=16, depth=3)


@pytest.fixture
def generator() -> Stylegan:
    """32 pixels, with noise that is heard and an average that is not zero."""
    torch.manual_seed(0)
    network = Stylegan(SMALL).eval()
    for name, parameter in network.named_parameters():
        if name.endswith("noise_strength"):
            nn.init.constant_(parameter, 0.3)
        elif name.endswith("bias"):
            nn.init.normal_(parameter, 1 if "style" in name else 0, 0.1)
    network.mapping.average.copy_(torch.randn(16))
    return network


def close(one: torch.Tensor, other: torch.Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(one, other, atol=tolerance, rtol=0)


@settings(max_examples=20)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_fast_filters_are_their_definition(height: int, width: int, seed: int) -> None:
    torch.manual_seed(seed)
    x = torch.randn(2, 3, height, width, dtype=torch.float64)
    close(filters.double(x), filters.resample_reference(x, up=2, pad=(2, 1)))
    close(filters.blur(x, 2), filters.resample_reference(x, pad=(2, 2)))
    close(filters.blur(x, 2, gain=4), 4 * filters.resample_reference(x, pad=(2, 2)))
    close(filters.blur(x, 2, stride=2), filters.resample_reference(x, down=2, pad=(2, 2)))


def test_filters_keep_the_mean_and_do_not_shift() -> None:
    x = torch.zeros(1, 1, 16, 16)
    x[0, 0, 8, 8] = 1
    doubled = filters.double(x)
    assert float(doubled.sum()) == pytest.approx(4)
    center = (doubled[0, 0].sum(0) * (torch.arange(32) + 0.5)).sum() / 4
    assert float(center) == pytest.approx(17)
    flat = filters.double(torch.ones(1, 1, 8, 8))[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(flat, torch.ones_like(flat))


def zero_inserted(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, groups: int
) -> torch.Tensor:
    """The paper's doubling: insert zeros, convolve with the turned weight, filter."""
    n, c, h, w = x.shape
    spread = x.new_zeros(n, c, 2 * h, 2 * w)
    spread[:, :, ::2, ::2] = x
    padded = torch.nn.functional.pad(spread, (2, 1, 2, 1))
    turned = torch.nn.functional.conv2d(padded, weight.flip(2, 3), bias, groups=groups)
    return 4 * filters.resample_reference(turned, pad=(1, 1))


@pytest.mark.parametrize("size", [(1, 5, 6, 7), (1, 5, 2, 3), (3, 5, 6, 7)])
@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("convolve", [layers.plain, layers.doubling])
def test_shared_weights_are_the_grouped_convolution(
    size: tuple[int, ...], demodulate: bool, convolve: layers.Convolve
) -> None:
    # One large picture scales the weight, one small picture or several scale the features.
    torch.manual_seed(1)
    x = torch.randn(size, dtype=torch.float64)
    weight = torch.randn(4, 5, 3, 3, dtype=torch.float64)
    style = torch.randn(size[:2], dtype=torch.float64)
    bias = torch.randn(4, dtype=torch.float64)
    how = {"convolve": convolve, "demodulate": demodulate}
    expected = 1.5 * (layers.modulated_reference(x, weight, style, **how) + bias[:, None, None])
    close(layers.modulated(x, weight, style, bias, gain=1.5, **how), expected)


def test_doubling_is_inserting_zeros_and_filtering() -> None:
    torch.manual_seed(2)
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    weight = torch.randn(6, 4, 3, 3, dtype=torch.float64)
    close(layers.doubling(x, weight), zero_inserted(x, weight, None, 1))
    grouped = torch.randn(6, 2, 3, 3, dtype=torch.float64)
    close(layers.doubling(x, grouped, None, 2), zero_inserted(x, grouped, None, 2))


def test_demodulated_features_have_unit_variance() -> None:
    torch.manual_seed(3)
    style = 5 * torch.rand(1, 64) + 0.1
    x = torch.randn(1, 64, 48, 48)
    answer = layers.modulated(x, torch.randn(16, 64, 3, 3), style, torch.zeros(16))
    deviation = answer[:, :, 1:-1, 1:-1].std((0, 2, 3))
    assert float((deviation - 1).abs().max()) < 0.06


def test_gradients_are_those_of_the_definition() -> None:
    torch.manual_seed(4)
    shapes = [(2, 3, 4, 4), (2, 3, 3, 3), (2, 3), (2,)]
    inputs = tuple(torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes)
    assert torch.autograd.gradcheck(layers.modulated, inputs)
    large = torch.randn(1, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    _, weight, style, bias = inputs
    assert torch.autograd.gradcheck(layers.modulated, (large, weight, style[:1], bias))


@pytest.mark.parametrize("doubles", [True, False])
def test_gradients_of_gradients_pass_a_whole_layer(doubles: bool) -> None:
    torch.manual_seed(5)
    layer = layers.StyledConvolution(3, 2, 4, 6 if doubles else 3, doubles=doubles).double()
    nn.init.constant_(layer.noise_strength, 0.5)
    x = torch.randn(1, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    style = torch.randn(1, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda *a: layer(*a, layer.noise, None), (x, style))


def test_a_batch_draws_what_its_members_draw_alone(generator: Stylegan) -> None:
    z = torch.randn(3, SMALL.latent, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        noise = generator.synthesis.fixed_noise()
        together = generator(z, noise, psi=0.7)
        alone = torch.cat([generator(one[None], noise, psi=0.7) for one in z])
    assert together.shape == (3, 3, 32, 32)
    assert together.dtype == torch.float32
    torch.testing.assert_close(together, alone, atol=2e-5, rtol=0)
    assert float(together.std()) > 0.1


def test_w_and_wplus_and_s_lead_to_one_picture(generator: Stylegan) -> None:
    point = W(torch.randn(2, SMALL.code, generator=torch.Generator().manual_seed(2)))
    synthesis = generator.synthesis
    with torch.no_grad():
        codes = point.broadcast(SMALL.layers)
        styles = synthesis.styles(codes)
        pictures = [generator.draw(p, None) for p in (point, codes, styles)]
    assert torch.equal(pictures[0], pictures[1])
    assert torch.equal(pictures[0], pictures[2])
    assert [v.shape[1] for v in styles.vectors] == [12, 12, 12, 8, 8, 8, 6, 6, 6, 4, 4]


def test_codes_reach_the_sizes_that_they_belong_to(generator: Stylegan) -> None:
    codes = torch.zeros(1, SMALL.layers, SMALL.code, requires_grad=True)
    vectors = generator.synthesis.styles(WPlus(codes)).vectors
    rows = []
    for vector in vectors:
        (gradient,) = torch.autograd.grad(vector.sum(), codes, retain_graph=True)
        rows.append(gradient.abs().sum((0, 2)).nonzero().flatten().tolist())
    # A color layer shares its code with the convolution that follows.
    assert rows == [[0], [1], [1], [2], [3], [3], [4], [5], [5], [6], [7]]


def test_the_picture_pulls_on_every_code_and_weight(generator: Stylegan) -> None:
    codes = torch.randn(1, SMALL.layers, SMALL.code, requires_grad=True)
    generator.draw(WPlus(codes), generator.synthesis.fixed_noise()).square().mean().backward()
    assert codes.grad is not None
    assert float(codes.grad.abs().sum((0, 2)).min()) > 0
    silent = [n for n, p in generator.synthesis.named_parameters() if p.grad is None]
    assert silent == []


def test_path_lengths_can_be_trained(generator: Stylegan) -> None:
    # Karras 2020, eq. 4: the gradient of a gradient, through every layer.
    point = W(torch.randn(1, SMALL.code, requires_grad=True))
    picture = generator.draw(point, generator.synthesis.fixed_noise())
    (slope,) = torch.autograd.grad(picture.sum(), point.code, create_graph=True)
    slope.norm().backward()
    weight = generator.synthesis.levels()[1].conv.weight
    assert weight.grad is not None
    assert float(weight.grad.abs().max()) > 0


def test_inversion_by_descent_finds_a_picture_again(generator: Stylegan) -> None:
    generator.requires_grad_(False)
    wanted = generator.draw(W(torch.randn(1, SMALL.code)), None)
    codes = generator.mapping.average.expand(1, SMALL.layers, -1).clone().requires_grad_()
    optimizer = torch.optim.Adam([codes], 0.05)
    errors = []
    for _ in range(60):
        error = (generator.draw(WPlus(codes), None) - wanted).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error.detach()))
    assert errors[-1] < 0.2 * errors[0]


def test_noise_is_an_argument(generator: Stylegan) -> None:
    synthesis = generator.synthesis
    point = W(torch.zeros(2, SMALL.code))

    def fresh(seed: int) -> torch.Tensor:
        noise = synthesis.random_noise(2, torch.Generator().manual_seed(seed))
        return generator.draw(point, noise).detach()

    assert torch.equal(fresh(1), fresh(1))
    assert not torch.equal(fresh(1), fresh(2))
    assert not torch.equal(fresh(1)[0], fresh(1)[1])
    fixed = generator.draw(point, synthesis.fixed_noise()).detach()
    assert torch.equal(fixed[0], fixed[1])
    quiet = generator.draw(point, None).detach()
    assert float((fixed - quiet).abs().max()) > 0.01
    zeros = tuple(torch.zeros_like(n) for n in synthesis.fixed_noise() or ())
    assert torch.equal(generator.draw(point, zeros).detach(), quiet)


def test_truncation_leads_to_the_average(generator: Stylegan) -> None:
    average = generator.mapping.average
    point = generator.mapping(torch.randn(2, SMALL.latent))
    assert torch.equal(point.truncated(average, 1).code, point.code)
    torch.testing.assert_close(point.truncated(average, 0).code, average.expand(2, -1))
    half = point.truncated(average, 0.5).code
    torch.testing.assert_close(half, (point.code + average) / 2)
    codes = point.broadcast(6).truncated(average, 0, layers=2).codes
    torch.testing.assert_close(codes[:, :2], average.expand(2, 2, -1))
    assert torch.equal(codes[:, 2:], point.broadcast(4).codes)


def test_only_the_direction_of_z_counts(generator: Stylegan) -> None:
    z = torch.randn(2, SMALL.latent)
    torch.testing.assert_close(generator.mapping(z).code, generator.mapping(7 * z).code)
    measured = generator.mapping.measure_average(torch.Generator().manual_seed(0), 20000)
    again = generator.mapping.measure_average(torch.Generator().manual_seed(1), 20000)
    torch.testing.assert_close(measured, again, atol=0.05, rtol=0)


def test_half_precision_stays_near(generator: Stylegan) -> None:
    point = W(torch.randn(1, SMALL.code, generator=torch.Generator().manual_seed(3)))
    noise = generator.synthesis.fixed_noise()
    with torch.no_grad():
        exact = generator.draw(point, noise)
        answer = generator.folded(torch.bfloat16).draw(point, noise)
        assert torch.equal(generator.folded().draw(point, noise), exact)
    assert answer.dtype == torch.float32
    assert float((answer - exact).abs().mean() / exact.std()) < 0.02
    assert next(iter(generator.synthesis.parameters())).dtype == torch.float32


def test_the_clamp_bounds_features() -> None:
    torch.manual_seed(0)
    layer = layers.StyledConvolution(4, 4, 8, 8, doubles=False)
    x, style = 1000 * torch.randn(1, 4, 8, 8), torch.ones(1, 4)
    assert float(layer(x, style, None, 256.0).abs().max().detach()) == 256
    assert float(layer(x, style, None, None).abs().max().detach()) > 256


def test_the_published_sizes() -> None:
    with torch.device("meta"):
        network = Stylegan(StyleganConfig(channels(1024)))
        judge = StyleganDiscriminator(StyleganDiscriminatorConfig(channels(1024)))
    assert sum(p.numel() for p in network.parameters()) == 30_370_060
    assert network.config.layers == 18
    # Noise at 4 pixels once, at 8 to 1024 twice, and the average code.
    assert sum(b.numel() for b in network.buffers()) == 16 + 2 * 1_398_080 + 512
    assert sum(p.numel() for p in judge.parameters()) == 29_012_513
    styles = [layer.style.weight.shape[0] for block in network.synthesis.levels()
              for layer in block.convolutions()]  # fmt: skip
    assert sum(styles) == 6048


def test_settings_and_shapes_are_checked(generator: Stylegan) -> None:
    with pytest.raises(ConfigError, match="power of two"):
        channels(100)
    with pytest.raises(ConfigError, match="at least one width"):
        StyleganConfig(widths=())
    with pytest.raises(ContractError, match="5 codes per picture, expected 8 for 32 pixels"):
        generator.draw(WPlus(torch.zeros(1, 5, SMALL.code)), None)
    with pytest.raises(ContractError, match="S has 2 layers, expected 11"):
        generator.draw(Styles((torch.zeros(1, 12), torch.zeros(1, 12))), None)
    with pytest.raises(ContractError, match="1 noise pictures, expected 7"):
        generator.draw(W(torch.zeros(1, SMALL.code)), (torch.zeros(1, 1, 4, 4),))


def test_the_discriminator_learns_and_sees_the_batch() -> None:
    torch.manual_seed(0)
    network = StyleganDiscriminator(StyleganDiscriminatorConfig(widths=(16, 8, 8)))
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(40):
        sharp = torch.rand(4, 3, 16, 16)
        blurred = torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)
        gap = torch.nn.functional.softplus(-network(sharp)) + torch.nn.functional.softplus(
            network(blurred)
        )
        optimizer.zero_grad()
        gap.mean().backward()
        optimizer.step()
    assert float(gap.mean().detach()) < 1
    with pytest.raises(ContractError, match="5 pictures do not divide into groups of 4"):
        network(torch.rand(5, 3, 16, 16))
    same = torch.rand(1, 6, 4, 4).expand(4, -1, -1, -1)
    assert float(batch_deviation(same, 4).max()) == pytest.approx(1e-4)
    varied = batch_deviation(torch.randn(4, 600, 4, 4), 4)
    # Deviation of four normal numbers around their own mean.
    assert float(varied.mean()) == pytest.approx(0.798, abs=0.02)


def ada_state(config: StyleganConfig) -> dict[str, torch.Tensor]:
    """A generator's state under stylegan2-ada's names, with the shapes that it has there."""
    state = Stylegan(config).state_dict()
    line = torch.tensor(filters.TAPS)
    blur = line[:, None] * line / 64
    answer = {}
    for theirs, ours in published.names(config, "ada").items():
        tensor = torch.randn(state[ours].shape)
        answer[theirs] = tensor[0, 0] if theirs.endswith("noise_const") else tensor
    answer["synthesis.b4.const"] = answer["synthesis.b4.const"][0]
    answer["synthesis.b8.conv0.resample_filter"] = blur
    return answer


def rosinality_state(
    ada: dict[str, torch.Tensor], config: StyleganConfig
) -> dict[str, torch.Tensor]:
    """The same numbers under rosinality's names and shapes."""
    to_ours = published.names(config, "ada")
    from_ours = {ours: theirs for theirs, ours in published.names(config, "rosinality").items()}
    answer = {}
    for theirs, tensor in ada.items():
        key = from_ours.get(to_ours.get(theirs, ""))
        if key is None:
            continue
        if key.endswith("conv.weight") or key == "input.input":
            tensor = tensor[None]
        elif key.startswith("noises"):
            tensor = tensor[None, None]
        elif key.startswith("to_rgb") and key.endswith(".bias") and "modulation" not in key:
            tensor = tensor.reshape(1, 3, 1, 1)
        elif key.endswith("noise.weight"):
            tensor = tensor.reshape(1)
        answer[key] = tensor
    return answer


def test_both_layouts_become_one_network() -> None:
    torch.manual_seed(0)
    ada = ada_state(SMALL)
    ours = published.rename(ada)
    assert published.infer(shapes_of(ada)).widths == SMALL.widths
    assert published.infer(shapes_of(ada)).latent == SMALL.latent
    Stylegan(SMALL).load_state_dict(ours)
    rosinality = rosinality_state(ada, SMALL)
    assert rosinality["convs.0.conv.weight"].shape == (1, 8, 12, 3, 3)
    config = published.infer(shapes_of(rosinality))
    assert (config.widths, config.depth, config.clamp) == (SMALL.widths, 3, None)
    average = ours["mapping.average"]
    for beside in (average, average.expand(8, -1)):
        again = published.rename({**rosinality, "latent_avg": beside})
        assert again.keys() == ours.keys()
        for key, tensor in again.items():
            torch.testing.assert_close(tensor, ours[key])


def test_a_lost_average_is_measured() -> None:
    torch.manual_seed(0)
    ada = ada_state(SMALL)
    rosinality = rosinality_state(ada, SMALL)
    one, other = published.rename(rosinality), published.rename(rosinality)
    assert torch.equal(one["mapping.average"], other["mapping.average"])
    network = Stylegan(SMALL)
    network.load_state_dict(one)
    codes = network.mapping(torch.randn(20000, SMALL.latent)).code.detach()
    error = float((one["mapping.average"] - codes.mean(0)).abs().max())
    assert error < 5 * float(codes.std(0).max()) / math.sqrt(4096)


def test_what_is_no_stylegan_is_refused() -> None:
    torch.manual_seed(0)
    ada = ada_state(SMALL)
    with pytest.raises(BundleError, match="no StyleGAN2 generator in a known layout"):
        published.infer({"fc.weight": (1,)})
    other = torch.eye(4)
    with pytest.raises(BundleError, match="another filter"):
        published.rename({**ada, "synthesis.b8.conv0.resample_filter": other})
    with pytest.raises(BundleError, match="1 tensors have no place"):
        published.rename({**ada, "synthesis.b4.extra": other})
    with pytest.raises(BundleError, match="1 are missing"):
        published.rename({k: v for k, v in ada.items() if k != "mapping.w_avg"})
    with pytest.raises(BundleError, match="class label"):
        published.infer({**shapes_of(ada), "mapping.embed.weight": (16, 2)})
    turned = ada["synthesis.b8.conv0.weight"].transpose(0, 1)
    with pytest.raises(BundleError, match="expected"):
        published.rename({**ada, "synthesis.b8.conv0.weight": turned})


def test_discriminators_of_both_layouts() -> None:
    config = StyleganDiscriminatorConfig(widths=(16, 8, 4), clamp=256.0)
    state = StyleganDiscriminator(config).state_dict()
    for table in (
        published._ada_discriminator(config),
        published._rosinality_discriminator(config),
    ):
        official = {theirs: state[ours] for theirs, ours in table.items()}
        assert published.infer_discriminator(shapes_of(official)).widths == config.widths
        again = published.rename_discriminator(official)
        assert again.keys() == state.keys()
        assert all(torch.equal(again[key], state[key]) for key in state)
    with pytest.raises(BundleError, match="no StyleGAN2 discriminator"):
        published.infer_discriminator({"fc.weight": (1,)})
