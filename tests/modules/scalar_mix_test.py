"""Tests of scalar_mix.py."""

import pytest
import torch

from elmo_components.modules.scalar_mix import ScalarMix

LAYERS = torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
MASK = torch.tensor([[True, True, True, True], [True, True, False, False]])


def test_layers_are_weighted_by_a_softmax_and_scaled() -> None:
    mix = ScalarMix(3).double()
    mix.weights.data = torch.tensor([0.1, -2.0, 3.0], dtype=torch.float64)
    mix.gamma.data = torch.tensor([1.7], dtype=torch.float64)
    exponentials = mix.weights.exp()
    expected = sum(exponentials[layer] / exponentials.sum() * LAYERS[layer] for layer in range(3))
    torch.testing.assert_close(mix(LAYERS, MASK), 1.7 * expected)


def test_layer_norm_is_over_all_unmasked_elements() -> None:
    mix = ScalarMix(3, do_layer_norm=True, fixed_weights=[0.0, -9e10, -9e10]).double()
    masked = LAYERS[0][MASK]
    mean = masked.mean()
    deviation = masked.std(unbiased=False)
    torch.testing.assert_close(mix(LAYERS, MASK)[MASK], (masked - mean) / deviation)


def test_autocast_does_not_round_the_layers() -> None:
    mix = ScalarMix(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = mix(LAYERS.float(), MASK)
    assert torch.equal(found, mix(LAYERS.float(), MASK))
    # a device without autocast
    assert mix.to("meta")(LAYERS.float().to("meta"), MASK.to("meta")).shape == (2, 4, 5)


def test_weights_are_trained_unless_fixed() -> None:
    assert all(parameter.requires_grad for parameter in ScalarMix(3).parameters())
    fixed = ScalarMix(3, fixed_weights=[1.0, 2.0, 3.0])
    assert not any(parameter.requires_grad for parameter in fixed.parameters())
    assert fixed.weights.tolist() == [1.0, 2.0, 3.0]


def test_the_number_of_fixed_weights_must_fit() -> None:
    with pytest.raises(ValueError, match=r"each of the 3 layers; found \[1.0\]"):
        ScalarMix(3, fixed_weights=[1.0])


def test_gradients_are_those_of_the_function() -> None:
    mix = ScalarMix(3, do_layer_norm=True).double()
    assert torch.autograd.gradcheck(
        lambda layers, *_: mix(layers, MASK),
        (LAYERS.clone().requires_grad_(), mix.weights, mix.gamma),
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_layer_norm_in_half_precision_does_not_overflow(dtype: torch.dtype) -> None:
    if dtype == torch.float16 and torch.__version__.startswith("1."):
        pytest.skip("torch 1.12 has no products of float16 on CPUs")
    # the sum of squares is 70 times the largest float16
    layers = torch.randn(3, 32, 40, 1024) * torch.tensor([1.0, 2.0, 5.0]).view(3, 1, 1, 1)
    mask = torch.ones(32, 40, dtype=torch.bool)
    expected = ScalarMix(3, do_layer_norm=True)(layers, mask)
    found = ScalarMix(3, do_layer_norm=True).to(dtype)(layers.to(dtype), mask)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.02)


def test_layer_norm_gives_zeros_where_masked() -> None:
    assert not ScalarMix(3, do_layer_norm=True).double()(LAYERS, MASK)[~MASK].any()


def test_layers_of_half_precision_fit_float32_weights() -> None:
    found = ScalarMix(3)(LAYERS.half(), MASK)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, LAYERS.half().float().mean(0))
