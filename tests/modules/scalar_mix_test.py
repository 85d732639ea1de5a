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


def test_weights_are_trained_unless_fixed() -> None:
    assert all(parameter.requires_grad for parameter in ScalarMix(3).parameters())
    fixed = ScalarMix(3, fixed_weights=[1.0, 2.0, 3.0])
    assert not any(parameter.requires_grad for parameter in fixed.parameters())
    assert fixed.weights.tolist() == [1.0, 2.0, 3.0]


def test_the_number_of_fixed_weights_must_fit() -> None:
    with pytest.raises(ValueError, match=r"3 layers needs as many weights; found \[1.0\]"):
        ScalarMix(3, fixed_weights=[1.0])


def test_gradients_are_those_of_the_function() -> None:
    mix = ScalarMix(3, do_layer_norm=True).double()
    assert torch.autograd.gradcheck(
        lambda layers, *_: mix(layers, MASK),
        (LAYERS.clone().requires_grad_(), mix.weights, mix.gamma),
    )
