"""Tests of the model elmo_seq2seq and its beam search, on tiny random models."""

from typing import Any

import pytest
import torch
from allennlp.common import Params
from allennlp.data import Batch, DatasetReader, Instance, Vocabulary
from allennlp.models import Model
from sacrebleu import corpus_bleu

import elmo_components.registered  # noqa: F401
from elmo_components.registered.translation.seq2seq import TextSeq2Seq

WORDS = ["ja", "nee", "dat"]
KNOWN_WORDS = [{"type": "elmo_known_words"}]


@pytest.fixture
def reader() -> DatasetReader:
    return DatasetReader.from_params(Params({"type": "elmo_parallel"}))


def seq2seq(vocabulary: Vocabulary, *, draw: bool = True, **settings: Any) -> TextSeq2Seq:
    """A tiny model; `settings` are those of the model or, under "beam_search", of the search."""
    search = {"max_steps": 4, "beam_size": 2, **settings.pop("beam_search", {})}
    model = Model.from_params(
        Params(
            {
                "type": "elmo_seq2seq",
                "source_text_embedder": {
                    "token_embedders": {
                        "tokens": {
                            "type": "embedding",
                            "embedding_dim": 4,
                            "vocab_namespace": "source_tokens",
                        }
                    }
                },
                "encoder": {
                    "type": "lstm",
                    "input_size": 4,
                    "hidden_size": 3,
                    "bidirectional": True,
                },
                "decoder": {
                    "type": "auto_regressive_seq_decoder",
                    "target_namespace": "target_tokens",
                    "target_embedder": {"embedding_dim": 5, "vocab_namespace": "target_tokens"},
                    "decoder_net": {
                        "type": "lstm_cell",
                        "decoding_dim": 6,
                        "target_embedding_dim": 5,
                        "bidirectional_input": True,
                        "attention": {"type": "bilinear", "vector_dim": 6, "matrix_dim": 6},
                    },
                    "beam_search": search,
                },
                **settings,
            }
        ),
        vocab=vocabulary,
    )
    for parameter in model.parameters() if draw else []:
        # far from uniform, so that what is likely first need not be likely in the end
        torch.nn.init.normal_(parameter)
    return model.eval()


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(
        tokens_to_add={
            "source_tokens": ["yes", "no", "."],
            "target_tokens": ["@start@", "@end@", *WORDS],
        }
    )


@pytest.fixture
def instances(reader: DatasetReader) -> list[Instance]:
    pairs = [("yes no.", "ja nee"), ("no", "Nee."), ("yes yes yes", "ja onbekend nee nee ja.")]
    made = [reader.text_to_instance(*pair) for pair in pairs]
    for instance in made:
        reader.apply_token_indexers(instance)
    return made


def every_sequence(
    model: TextSeq2Seq, instance: Instance, max_steps: int
) -> dict[tuple[str, ...], float]:
    """The log probability of each sequence of words that ends, or is `max_steps` long."""
    decoder, vocabulary = model._decoder, model.vocab
    batch = Batch([instance])
    batch.index_instances(vocabulary)
    state = model._encode(batch.as_tensor_dict()["source_tokens"])
    state.update(decoder._decoder_net.init_decoder_state(state))
    found = {}

    def extend(words: tuple[str, ...], last: str, state: dict[str, torch.Tensor], sum: float):
        index = torch.tensor([vocabulary.get_token_index(last, "target_tokens")])
        log_probabilities, state = decoder.take_step(index, dict(state), len(words))
        for word in (*WORDS, "@end@"):
            index = vocabulary.get_token_index(word, "target_tokens")
            total = sum + float(log_probabilities[0, index])
            if word == "@end@":
                found[words] = total
            elif len(words) + 1 == max_steps:
                found[(*words, word)] = total
            else:
                extend((*words, word), word, state, total)

    with torch.no_grad():
        extend((), "@start@", state, 0.0)
    return found


def test_a_sentences_score_is_its_log_probability_and_a_beam_is_not_below_greed(
    vocabulary: Vocabulary, reader: DatasetReader, instances: list[Instance]
) -> None:
    wide = seq2seq(vocabulary, beam_search={"beam_size": 4, "constraints": KNOWN_WORDS})
    greedy = seq2seq(vocabulary, beam_search={"beam_size": 1, "constraints": KNOWN_WORDS})
    greedy.load_state_dict(wide.state_dict())
    for instance, output, narrow in zip(
        instances, wide.forward_on_instances(instances), greedy.forward_on_instances(instances)
    ):
        every = every_sequence(wide, instance, max_steps=4)
        score = output["class_log_probabilities"][0]
        assert score == pytest.approx(every[tuple(output["predicted_tokens"])], abs=1e-4)
        assert narrow["class_log_probabilities"][0] - 1e-5 <= score <= max(every.values()) + 1e-5
        # the mean over the words and the end, given the words before
        words = ("nee", "ja")
        given = reader.text_to_instance(instance["source_tokens"].tokens, " ".join(words))
        reader.apply_token_indexers(given)
        loss = wide.forward_on_instance(given)["loss"]
        assert -3 * loss == pytest.approx(every[words], abs=1e-4)


def test_what_is_no_word_is_written_only_where_it_may_be(
    vocabulary: Vocabulary, instances: list[Instance]
) -> None:
    model = seq2seq(vocabulary)
    barred = seq2seq(vocabulary, beam_search={"constraints": KNOWN_WORDS})
    # unknown, padding and start are by far the likeliest
    bias = model._decoder._output_projection_layer.bias
    with torch.no_grad():
        for token in (vocabulary._oov_token, vocabulary._padding_token, "@start@"):
            bias[vocabulary.get_token_index(token, "target_tokens")] = 50.0
    barred.load_state_dict(model.state_dict())
    for output in model.forward_on_instances(instances):
        assert not set(output["predicted_tokens"]) & {*WORDS}
    for output in barred.forward_on_instances(instances):
        assert {*output["predicted_tokens"]} <= {*WORDS}


def test_bleu_compares_texts_with_the_references_as_they_stand(
    vocabulary: Vocabulary, instances: list[Instance]
) -> None:
    # the model writes "@@UNKNOWN@@" here, which the second reference would be, were it tokens
    model = seq2seq(vocabulary, text_based_metric={"type": "sacrebleu"})
    with torch.no_grad():
        index = vocabulary.get_token_index(vocabulary._oov_token, "target_tokens")
        model._decoder._output_projection_layer.bias[index] = 50.0
    model.forward_on_instances(instances)
    assert model.get_metrics(reset=True) == {"BLEU": 0.0}
    with torch.no_grad():
        for word, bias in ((vocabulary._oov_token, -50.0), ("ja", 9.0), ("nee", 9.0)):
            index = vocabulary.get_token_index(word, "target_tokens")
            model._decoder._output_projection_layer.bias[index] = bias
    texts = [output["translation"] for output in model.forward_on_instances(instances)]
    references = [instance["metadata"].metadata["target"] for instance in instances]
    assert references == ["ja nee", "Nee.", "ja onbekend nee nee ja."]
    expected = corpus_bleu(texts, [references]).score
    assert expected > 0.0
    assert model.get_metrics() == {"BLEU": pytest.approx(expected, abs=1e-9)}


def test_parameters_of_composed_seq2seq_take_effect(vocabulary: Vocabulary) -> None:
    embedder = {"type": "embedding", "embedding_dim": 5, "vocab_namespace": "target_tokens"}
    model = seq2seq(
        vocabulary,
        source_text_embedder={"token_embedders": {"tokens": embedder}},
        encoder={"type": "lstm", "input_size": 5, "hidden_size": 3, "bidirectional": True},
        tied_source_embedder_key="tokens",
        initializer={"regexes": [["_encoder.*bias.*", {"type": "constant", "val": 7.0}]]},
        regularizer={"regexes": [["_encoder.*bias.*", {"type": "l2", "alpha": 1.0}]]},
        draw=False,
    )
    assert model._source_text_embedder.token_embedder_tokens is model._decoder.target_embedder
    biases = [
        parameter
        for name, parameter in model.named_parameters()
        if "_encoder" in name and "bias" in name
    ]
    assert biases and all(bool((bias == 7.0).all()) for bias in biases)
    penalty = sum(49.0 * bias.numel() for bias in biases)
    assert float(model.get_regularization_penalty()) == pytest.approx(penalty)


def test_a_batch_translates_each_sentence_as_if_alone(
    vocabulary: Vocabulary, instances: list[Instance]
) -> None:
    model = seq2seq(vocabulary, beam_search={"beam_size": 3})
    for instance, together in zip(instances, model.forward_on_instances(instances)):
        alone = model.forward_on_instance(instance)
        assert (
            alone["translation"] == together["translation"] == " ".join(alone["predicted_tokens"])
        )
        assert alone["class_log_probabilities"] == pytest.approx(
            together["class_log_probabilities"], abs=1e-5
        )
