"""Tests of softmax.py, against torch's losses and sums over all words in float64."""

import copy
import math
import pickle
from typing import Optional

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from elmo_components.characters import CharacterMapper
from elmo_components.config import CharCnnConfig
from elmo_components.modules.char_cnn import CharCnn
from elmo_components.pretraining.exchange import shared_generator
from elmo_components.pretraining.softmax import (
    AdaptiveSoftmax,
    FullSoftmax,
    OwnWeights,
    SampledSoftmax,
    Softmax,
    TiedWeights,
)

NUM_WORDS, HIDDEN, TOKENS = 23, 6, 11

Gradients = list[Optional[torch.Tensor]]


def own(num_words: int = NUM_WORDS, hidden: int = HIDDEN, *, sparse: bool = False) -> OwnWeights:
    output = OwnWeights(num_words, hidden, sparse=sparse).double()
    nn.init.normal_(output.bias)
    return output


def tied(num_words: int = NUM_WORDS, hidden: int = HIDDEN) -> tuple[CharCnn, TiedWeights]:
    torch.manual_seed(2)
    config = CharCnnConfig(4, ((1, 3), (2, 5)), 1, "relu")
    char_cnn = CharCnn(config, hidden_size=hidden).double()
    for parameter in char_cnn.parameters():
        nn.init.normal_(parameter, std=0.5)
    ids = CharacterMapper().batch_ids([[f"{number * 37 % 101}w" for number in range(num_words)]])
    output = TiedWeights(char_cnn, ids[0]).double()
    nn.init.normal_(output.bias)
    return char_cnn, output


def batch(
    num_words: int = NUM_WORDS, tokens: int = TOKENS, hidden: int = HIDDEN
) -> tuple[torch.Tensor, torch.Tensor]:
    vectors = torch.randn(tokens, hidden, dtype=torch.float64).requires_grad_()
    return vectors, torch.randint(num_words, (tokens,))


def gradients(loss: torch.Tensor, hidden: torch.Tensor, *modules: nn.Module) -> Gradients:
    leaves = [hidden, *(leaf for module in modules for leaf in module.parameters())]
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [part if part is None or not part.is_sparse else part.to_dense() for part in found]


def assert_same(found: Gradients, expected: Gradients) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert one is not None and other is not None
        torch.testing.assert_close(one, other)


def all_scores(output: OwnWeights, hidden: torch.Tensor) -> torch.Tensor:
    """Returns the score of each word for each token, (tokens, num_words)."""
    return hidden @ output.weight.t() + output.bias


def estimate(
    scores: torch.Tensor, targets: torch.Tensor, taken: torch.Tensor, inclusion: torch.Tensor
) -> torch.Tensor:
    """Returns each token's log(exp t + sum of exp(s) / p over taken words but its own) - t."""
    own = nn.functional.one_hot(targets, len(taken)).bool()
    # (tokens, num_words): how many words each stands for
    numbers = torch.where(own, torch.ones_like(inclusion), taken / inclusion)
    # (tokens,)
    return (scores.exp() * numbers).sum(1).log() - scores[own]


def sample(softmax: SampledSoftmax) -> torch.Tensor:
    """Draws as the softmax does, by its documentation."""
    generator = shared_generator(torch.device("cpu"))
    return torch.rand(NUM_WORDS, generator=generator) < softmax.inclusion


def in_blocks(monkeypatch: pytest.MonkeyPatch, tokens: int, words: int) -> None:
    for kind in ("TRAINED_BLOCK", "EVALUATED_BLOCK"):
        monkeypatch.setattr(f"elmo_components.pretraining.log_sum.{kind}", (tokens, words))


BLOCKS = [(256, 8192), (2, 4), (4, 23)]


@pytest.mark.parametrize("blocks", BLOCKS, ids=str)
def test_the_full_softmax_is_cross_entropy_with_all_its_gradients(
    blocks: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_blocks(monkeypatch, *blocks)
    softmax, (hidden, targets) = FullSoftmax(own()), batch()
    loss, losses = softmax(hidden, targets)
    expected = cross_entropy(all_scores(softmax.output, hidden), targets, reduction="none")
    torch.testing.assert_close(losses, expected.detach())
    assert not losses.requires_grad
    torch.testing.assert_close(loss, expected.sum())
    with torch.no_grad():
        torch.testing.assert_close(softmax(hidden, targets)[1], expected.detach())
    assert_same(
        gradients(3.0 * loss, hidden, softmax), gradients(3.0 * expected.sum(), hidden, softmax)
    )


def test_scores_far_from_0_neither_overflow_nor_vanish() -> None:
    softmax, (hidden, targets) = FullSoftmax(own()), batch()
    with torch.no_grad():
        softmax.output.bias[3] += 2000.0
        hidden *= 300.0
    loss, losses = softmax(hidden, targets)
    expected = cross_entropy(all_scores(softmax.output, hidden), targets, reduction="none")
    torch.testing.assert_close(losses, expected.detach())
    assert_same(gradients(loss, hidden, softmax), gradients(expected.sum(), hidden, softmax))


def test_gradients_may_be_asked_for_twice_and_of_a_part() -> None:
    softmax, (hidden, targets) = FullSoftmax(own()), batch()
    softmax.output.weight.requires_grad_(False)
    loss, _ = softmax(hidden, targets)
    first = torch.autograd.grad(loss, [hidden, softmax.output.bias], retain_graph=True)
    second = torch.autograd.grad(loss, [hidden, softmax.output.bias])
    expected = cross_entropy(all_scores(softmax.output, hidden), targets, reduction="sum")
    wanted = torch.autograd.grad(expected, [hidden, softmax.output.bias])
    for one, other, exact in zip(first, second, wanted):
        torch.testing.assert_close(one, exact)
        torch.testing.assert_close(other, exact)


@pytest.mark.parametrize(("num_words", "num_samples"), [(23, 1), (23, 5), (23, 22), (3000, 700)])
def test_inclusion_probabilities_follow_the_log_uniform_distribution_up_to_1(
    num_words: int, num_samples: int
) -> None:
    softmax = SampledSoftmax(own(num_words), num_samples=num_samples)
    inclusion = softmax.inclusion
    assert inclusion.shape == (num_words,)
    assert float(inclusion.double().sum()) == pytest.approx(num_samples, rel=1e-5)
    assert float(inclusion.min()) > 0.0 and float(inclusion.max()) <= 1.0
    # tf.nn.log_uniform_candidate_sampler: P(k) = (log(k + 2) - log(k + 1)) / log(range_max + 1)
    log_uniform = [
        (math.log(k + 2) - math.log(k + 1)) / math.log(num_words + 1) for k in range(num_words)
    ]
    ratios = inclusion.double() / torch.tensor(log_uniform, dtype=torch.float64)
    below = inclusion < 1.0
    torch.testing.assert_close(
        ratios[below], ratios[-1].expand(int(below.sum())), rtol=1e-5, atol=0.0
    )
    # those that reach 1 would have been above it
    assert (ratios[~below] <= ratios[-1] * (1.0 + 1e-5)).all()
    # the first are the likeliest, so the ones at 1 are first
    assert (inclusion[:-1] >= inclusion[1:]).all()


@pytest.mark.parametrize("blocks", BLOCKS, ids=str)
def test_the_sampled_softmax_and_its_gradients_are_the_formula_s_for_its_sample(
    blocks: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_blocks(monkeypatch, *blocks)
    softmax, (hidden, targets) = SampledSoftmax(own(), num_samples=9).double(), batch()
    # a word that is always taken, twice the same, and the rarest one
    targets[:4] = torch.tensor([0, 5, 5, 22])
    for seed in range(5):
        torch.manual_seed(seed)
        loss, losses = softmax(hidden, targets)
        torch.manual_seed(seed)
        taken = sample(softmax)
        expected = estimate(all_scores(softmax.output, hidden), targets, taken, softmax.inclusion)
        torch.testing.assert_close(losses, expected.detach())
        torch.testing.assert_close(loss, expected.sum())
        assert_same(
            gradients(2.0 * loss, hidden, softmax), gradients(2.0 * expected.sum(), hidden, softmax)
        )


def test_in_evaluation_the_sampled_softmax_is_exact() -> None:
    softmax, (hidden, targets) = SampledSoftmax(own(), num_samples=6).double().eval(), batch()
    loss, losses = softmax(hidden, targets)
    expected = cross_entropy(all_scores(softmax.output, hidden), targets, reduction="none")
    torch.testing.assert_close(losses, expected.detach())
    torch.testing.assert_close(loss, expected.sum())


def test_a_sample_may_be_empty() -> None:
    softmax, (hidden, targets) = SampledSoftmax(own(), num_samples=1), batch()
    empty = False
    for seed in range(30):
        torch.manual_seed(seed)
        loss, losses = softmax(hidden, targets)
        torch.manual_seed(seed)
        if not sample(softmax).any():
            empty = True
            assert not losses.any()
            assert not any(part.any() for part in gradients(loss, hidden, softmax))
    assert empty


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_half_precision_as_many_words_are_drawn_as_in_float32(dtype: torch.dtype) -> None:
    """The loss of equal scores is the log of the estimated number of words."""
    output = OwnWeights(30_000, 4)
    nn.init.zeros_(output.weight)
    softmax = SampledSoftmax(output, num_samples=512).to(dtype)
    hidden, targets = torch.zeros(1, 4, dtype=dtype), torch.tensor([29_999])
    # torch before 2 has no products of float16 on a CPU
    if dtype == torch.float16 and not hasattr(torch, "compile"):
        pytest.skip("no products of float16")
    assert softmax.inclusion.dtype == torch.float32
    with torch.no_grad():
        losses = torch.stack([softmax(hidden, targets)[1] for _ in range(100)])
    assert losses.dtype == torch.float32
    # 5 standard errors of a mean of 100 estimates
    estimates = losses.exp()
    error = 5.0 * float(estimates.std()) / math.sqrt(len(estimates))
    assert abs(float(estimates.mean()) - 30_000) <= error < 1500


def test_a_softmax_built_without_memory_and_loaded_computes_the_same() -> None:
    char_cnn, output = tied()
    ids = output.character_ids
    softmax, (hidden, targets) = SampledSoftmax(output, num_samples=9).double(), batch()
    with torch.device("meta") if hasattr(torch, "set_default_device") else torch.no_grad():
        other = SampledSoftmax(TiedWeights(char_cnn, ids), num_samples=9).double()
    other = other.to_empty(device="cpu")
    other.load_state_dict(softmax.state_dict())
    for training in (True, False):
        results = []
        for module in (softmax, other):
            torch.manual_seed(4)
            results.append(module.train(training)(hidden, targets)[1])
        assert torch.equal(*results)


def test_sparse_gradients_are_sparse_and_equal_the_dense_ones() -> None:
    dense = SampledSoftmax(own(), num_samples=5).double()
    sparse = SampledSoftmax(own(sparse=True), num_samples=5).double()
    sparse.load_state_dict(dense.state_dict())
    hidden, targets = batch()
    for softmax in (dense, sparse):
        torch.manual_seed(4)
        softmax(hidden, targets)[0].backward()
    found = sparse.output.weight.grad.coalesce()
    assert found.is_sparse and not dense.output.weight.grad.is_sparse
    torch.testing.assert_close(found.to_dense(), dense.output.weight.grad)
    torch.testing.assert_close(sparse.output.bias.grad, dense.output.bias.grad)
    # the targets', the sample's, and the first word's, which fills up the sample
    torch.manual_seed(4)
    taken = sample(sparse)
    wanted = {0, *targets.tolist(), *taken.nonzero().squeeze(1).tolist()}
    assert set(found.indices()[0].tolist()) == wanted


@pytest.mark.parametrize("cutoffs", [[5], [4, 12]])
def test_the_adaptive_softmax_is_torch_s(cutoffs: list[int]) -> None:
    softmax = AdaptiveSoftmax(NUM_WORDS, HIDDEN, cutoffs=cutoffs, div_value=2.0).double()
    hidden, targets = batch()
    targets[:2] = torch.tensor([0, 22])
    loss, losses = softmax(hidden, targets)
    # (tokens, num_words), by another way through the clusters
    log_probabilities = softmax.clusters.log_prob(hidden)
    torch.testing.assert_close(
        log_probabilities.exp().sum(1), torch.ones(TOKENS, dtype=torch.float64)
    )
    expected = -log_probabilities.gather(1, targets.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(losses, expected.detach())
    assert not losses.requires_grad
    torch.testing.assert_close(loss, expected.sum())
    assert_same(gradients(loss, hidden, softmax), gradients(expected.sum(), hidden, softmax))


def test_with_tied_weights_a_sample_s_gradients_reach_the_character_encoder() -> None:
    char_cnn, output = tied()
    softmax, (hidden, targets) = SampledSoftmax(output, num_samples=9).double(), batch()
    torch.manual_seed(4)
    loss, _ = softmax(hidden, targets)
    torch.manual_seed(4)
    taken = sample(softmax)
    scores = hidden @ char_cnn(output.character_ids).t() + output.bias
    expected = estimate(scores, targets, taken, softmax.inclusion).sum()
    torch.testing.assert_close(loss, expected)
    assert_same(
        gradients(loss, hidden, softmax, char_cnn), gradients(expected, hidden, softmax, char_cnn)
    )


class Tied(nn.Module):
    """A softmax beside the character encoder that it shares, as in a language model."""

    def __init__(self) -> None:
        super().__init__()
        self.char_cnn, output = tied()
        self.softmax = FullSoftmax(output)


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copy_is_tied_to_the_copy_s_character_encoder(way: str) -> None:
    module, (hidden, targets) = Tied(), batch()
    other = copy.deepcopy(module) if way == "deepcopy" else pickle.loads(pickle.dumps(module))
    before, _ = module.softmax(hidden, targets)
    torch.testing.assert_close(other.softmax(hidden, targets)[0], before)
    with torch.no_grad():
        other.char_cnn.projection.weight.mul_(2.0)
    assert not torch.allclose(other.softmax(hidden, targets)[0], before)
    torch.testing.assert_close(module.softmax(hidden, targets)[0], before)


def each_kind(num_words: int, hidden: int) -> dict[str, tuple[Softmax, list[nn.Module]]]:
    """Returns a softmax of each kind with the modules that it trains."""
    kinds: dict[str, tuple[Softmax, list[nn.Module]]] = {
        "full": (FullSoftmax(own(num_words, hidden)), []),
        "sampled": (SampledSoftmax(own(num_words, hidden), num_samples=num_words // 3), []),
        "adaptive": (
            AdaptiveSoftmax(num_words, hidden, cutoffs=[num_words // 2], div_value=1.0),
            [],
        ),
    }
    char_cnn, output = tied(num_words, hidden)
    kinds["tied full"] = FullSoftmax(output), [char_cnn]
    char_cnn, output = tied(num_words, hidden)
    kinds["tied sampled"] = SampledSoftmax(output, num_samples=num_words // 3), [char_cnn]
    return kinds


@pytest.mark.parametrize("kind", list(each_kind(8, 2)))
def test_within_autocast_loss_and_gradients_are_close(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 25 blocks of tokens, whose sums must not be of bfloat16
    in_blocks(monkeypatch, 16, 128)
    softmax, modules = each_kind(400, 64)[kind]
    modules = [module.float() for module in (softmax, *modules)]
    vectors, targets = batch(400, 400, 64)
    hidden = vectors.detach().float().requires_grad_()
    results = []
    for bfloat16 in (False, True):
        torch.manual_seed(4)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            loss, losses = softmax(hidden, targets)
        assert loss.dtype == losses.dtype == torch.float32
        results.append((loss, losses, gradients(loss, hidden, *modules)))
    (exact, exact_losses, expected), (loss, losses, found) = results
    assert float(loss) == pytest.approx(float(exact), rel=5e-3)
    torch.testing.assert_close(losses, exact_losses, rtol=0.02, atol=0.1)
    assert all(part.dtype == torch.float32 for part in found)
    # of all together, since what moves all scores alike has a gradient of 0
    errors = [(one - other).norm() for one, other in zip(found, expected)]
    norms = [other.norm() for other in expected]
    assert math.hypot(*errors) <= 0.02 * math.hypot(*norms)
    assert errors[0] <= 0.02 * norms[0]


class Bfloat16Weights(nn.Module):
    """Words' vectors in bfloat16, as a character encoder within autocast gives them."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(len(weight)))

    def forward(self, words: Optional[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        assert words is None
        return self.weight.bfloat16(), self.bias


def test_the_parts_of_many_blocks_are_not_lost_in_a_sum_of_bfloat16(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # a thousand equal parts, of which bfloat16 would only add some 256
    in_blocks(monkeypatch, 1, 64)
    softmax = FullSoftmax(Bfloat16Weights(torch.randn(10, 4)))
    hidden = torch.randn(1, 4).expand(1000, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = softmax(hidden, torch.zeros(1000, dtype=torch.int64))
    expected = cross_entropy(hidden[:1] @ softmax.output.weight.t(), torch.tensor([0]))
    (found,) = torch.autograd.grad(loss, softmax.output.weight)
    (one,) = torch.autograd.grad(expected, softmax.output.weight)
    assert (found - 1000.0 * one).norm() <= 0.02 * (1000.0 * one).norm()


def test_a_target_s_score_is_not_rounded_to_bfloat16() -> None:
    # two words, the other one's score being 0
    softmax = FullSoftmax(Bfloat16Weights(torch.tensor([[0.5] * 16, [0.0] * 16])))
    hidden = torch.randn(50, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, losses = softmax(hidden, torch.zeros(50, dtype=torch.int64))
    torch.testing.assert_close(losses, nn.functional.softplus(-0.5 * hidden.sum(1)))


def test_a_second_derivative_is_an_error() -> None:
    hidden, targets = batch()
    loss, _ = FullSoftmax(own())(hidden, targets)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(loss, hidden, create_graph=True)


@pytest.mark.parametrize("kind", list(each_kind(8, 2)))
def test_no_tokens_have_no_loss(kind: str) -> None:
    softmax, modules = each_kind(8, 2)[kind]
    for module in (softmax, *modules):
        module.float()
    hidden = torch.zeros(0, 2).requires_grad_()
    for training in (True, False):
        loss, losses = softmax.train(training)(hidden, torch.zeros(0, dtype=torch.int64))
        assert float(loss) == 0.0 and losses.shape == (0,)
        loss.backward()
        assert not any(part.grad is not None and part.grad.any() for part in softmax.parameters())


@pytest.mark.parametrize("num_samples", [-1, 0, NUM_WORDS, NUM_WORDS + 1])
def test_as_many_samples_as_words_or_none_are_an_error(num_samples: int) -> None:
    with pytest.raises(ValueError, match=f"from 1 to below the 23 words .*; found {num_samples}"):
        SampledSoftmax(own(), num_samples=num_samples)
