"""
Pre-training steps: `ElmoLanguageModel` beside allennlp-models' bidirectional language model with
its own character encoder and sampled softmax and AllenNLP's `ElmoLstm`, of the same sizes.

A step is forward, backward and the optimizer's, on a batch that is ready; both directions are
trained, and each token of the text is counted once, sentence marks not at all. AllenNLP has no
bfloat16 on a CPU, so that both precisions are beside its float32.
"""

import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Callable, Optional

import torch
from allennlp.common import Lazy, Params
from allennlp.data import Batch, DatasetReader, TensorDict, Vocabulary
from allennlp.models import Model
from allennlp.modules import Seq2SeqEncoder, TextFieldEmbedder
from allennlp.modules.elmo_lstm import ElmoLstm as AllenNlpElmoLstm
from allennlp.training.optimizers import DenseSparseAdam
from allennlp_models.lm.models.bidirectional_lm import BidirectionalLanguageModel
from side_by_side import SHAPES, SHIPPED, take_turns

import elmo_components.registered  # noqa: F401
from elmo_components.config import ElmoConfig, LstmConfig
from elmo_components.pretraining.vocabulary import UNKNOWN_TOKEN, WordCounts
from elmo_components.registered.models.language_model import ElmoLanguageModel
from elmo_components.registered.models.softmax import NextWordSoftmax

TRAINED = {"small": SHAPES["small"], "shipped": SHIPPED}
BATCH_SIZES = (32, 128)
PRECISIONS = ("float32", "bfloat16")
MOST_WORDS = 50_000
MOST_SAMPLES = 4_096

# The scalar to go backward from.
Part = Callable[[], torch.Tensor]


def measure(
    sentences: Sequence[list[str]],
    repeats: int,
    peaks: dict,
    shapes: Mapping[str, ElmoConfig] = TRAINED,
    batch_sizes: Sequence[int] = BATCH_SIZES,
) -> list[dict[str, Any]]:
    """
    Returns a row for each shape, number of sentences and precision, in which "milliseconds" says
    what each part of a step takes alone.
    """
    words = WordCounts(sentences).vocabulary(size=MOST_WORDS)
    # a small text has few words
    num_samples = min(MOST_SAMPLES, len(words) // 2)
    batches = [_similar_sentences(sentences, size) for size in batch_sizes]
    rows = []
    for name, config in shapes.items():
        theirs = _Theirs(config, words, num_samples)
        ours = {kind: _Ours(config, words, num_samples, kind) for kind in PRECISIONS}
        for batch in batches:
            sides = {"allennlp": theirs, **ours}
            tensors = {kind: side.tensors(batch) for kind, side in sides.items()}
            seconds = take_turns(
                {kind: partial(side.step, tensors[kind]) for kind, side in sides.items()}, repeats
            )
            parts = _milliseconds(
                {kind: side.parts(tensors[kind]) for kind, side in sides.items()}, repeats
            )
            tokens = sum(map(len, batch))
            for kind in ours:
                rows.append(
                    {
                        "case": f"{name}, pre-training, {len(batch)} sentences, {kind}",
                        "unit": "tokens/s",
                        "allennlp": tokens / seconds["allennlp"],
                        "ours": tokens / seconds[kind],
                        "limit": _limit(config, num_samples, batch, peaks[kind]),
                        "tokens": tokens,
                        "words": len(words),
                        "num_samples": num_samples,
                        "parameters": {"allennlp": theirs.size(), "ours": ours[kind].size()},
                        "milliseconds": {"allennlp": parts["allennlp"], "ours": parts[kind]},
                    }
                )
    return rows


def _milliseconds(
    parts: Mapping[str, Mapping[str, Callable[[], None]]], repeats: int
) -> dict[str, dict[str, float]]:
    seconds = take_turns(
        {f"{kind} {name}": call for kind, calls in parts.items() for name, call in calls.items()},
        repeats,
    )
    return {
        kind: {name: round(1000.0 * seconds[f"{kind} {name}"], 1) for name in calls}
        for kind, calls in parts.items()
    }


class _Side:
    """A model with its reader and optimizer. The sparse gradients are the softmax's."""

    def __init__(self, model: Model, reader: DatasetReader) -> None:
        self.model = model.train()
        self.reader = reader
        self.optimizer = DenseSparseAdam(list(model.named_parameters()))

    def tensors(self, sentences: Sequence[list[str]]) -> TensorDict:
        """Returns a batch as the trainer gives it to the model."""
        batch = Batch([self.reader.text_to_instance(" ".join(words)) for words in sentences])
        for instance in batch.instances:
            self.reader.apply_token_indexers(instance)
        batch.index_instances(self.model.vocab)
        return batch.as_tensor_dict()

    def step(self, tensors: TensorDict) -> None:
        """Trains on a batch."""
        self.backward(lambda: self.model(**tensors)["loss"])
        self.optimizer.step()

    def backward(self, loss: Part) -> None:
        """Computes a scalar and its gradients, and these alone."""
        self.model.zero_grad(set_to_none=True)
        loss().backward()

    def parts(self, tensors: TensorDict) -> dict[str, Callable[[], None]]:
        """Returns each part of a step, forward and backward."""
        self.step(tensors)
        gradients = [parameter.grad for parameter in self.model.parameters()]
        return {
            **{name: partial(self.backward, loss) for name, loss in self.losses(tensors).items()},
            "optimizer": partial(self.update, gradients),
        }

    def update(self, gradients: Sequence[Optional[torch.Tensor]]) -> None:
        """Lets the optimizer take these gradients."""
        for parameter, gradient in zip(self.model.parameters(), gradients):
            parameter.grad = gradient
        self.optimizer.step()

    def losses(self, tensors: TensorDict) -> dict[str, Part]:
        """Returns each part of the model alone, with what the part before it gives."""
        raise NotImplementedError

    def size(self) -> int:
        """Returns the number of parameters."""
        return sum(parameter.numel() for parameter in self.model.parameters())


class _Ours(_Side):
    def __init__(
        self, config: ElmoConfig, words: Sequence[str], num_samples: int, precision: str
    ) -> None:
        vocab = Vocabulary(non_padded_namespaces=["vocab"], oov_token=UNKNOWN_TOKEN)
        vocab.add_tokens_to_namespace(list(words), "vocab")
        model = ElmoLanguageModel(
            vocab,
            config.to_options(),
            softmax=Lazy(
                NextWordSoftmax,
                params=Params({"type": "sampled", "num_samples": num_samples, "sparse": True}),
            ),
            precision=precision,
        )
        super().__init__(model, DatasetReader.from_params(Params({"type": "elmo_corpus"})))
        self._light = precision == "bfloat16"

    def losses(self, tensors: TensorDict) -> dict[str, Part]:
        language_model = self.model.language_model
        char_cnn, lstm = language_model.bilm.char_cnn, language_model.bilm.lstm
        # (2, batch, time, characters), (2, batch, time)
        ids, targets = (
            torch.stack(
                [tensors[f"{direction}{field}"][name][key] for direction in ("", "backward_")]
            )
            for field, name, key in (
                ("inputs", "elmo", "elmo_tokens"),
                ("targets", "words", "tokens"),
            )
        )
        # (batch, time)
        mask = (ids[0] > 0).any(dim=-1)
        lengths = mask.sum(dim=1)
        words = _leaf(char_cnn(ids))
        # (2 * tokens, hidden_size)
        hidden = _leaf(lstm.directions(words, lengths)[0][-1][:, mask].flatten(0, 1))
        losses = {
            "character_encoder": lambda: char_cnn(ids).sum(),
            "lstm": lambda: lstm.directions(words, lengths)[0][-1].sum(),
            "softmax": lambda: language_model.softmax(hidden, targets[:, mask].flatten())[0],
        }
        return {name: partial(self._as_trained, loss) for name, loss in losses.items()}

    def _as_trained(self, loss: Part) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._light):
            return loss()


class _Theirs(_Side):
    def __init__(self, config: ElmoConfig, words: Sequence[str], num_samples: int) -> None:
        vocab = Vocabulary()
        # the unknown word has another name there, and a place already
        vocab.add_tokens_to_namespace([word for word in words if word != UNKNOWN_TOKEN])
        options, size = config.to_options()["char_cnn"], config.lstm.hidden_size
        dimension = options["embedding"]["dim"]
        encoder = {
            "type": "cnn-highway",
            "embedding_dim": dimension,
            "filters": options["filters"],
            "num_highway": options["n_highway"],
            "projection_dim": size,
        }
        characters = {
            "type": "character_encoding",
            "embedding": {
                "num_embeddings": options["n_characters"],
                "embedding_dim": dimension,
            },
            "encoder": encoder,
        }
        embedders = {"tokens": {"type": "empty"}, "token_characters": characters}
        model = BidirectionalLanguageModel(
            vocab,
            TextFieldEmbedder.from_params(Params({"token_embedders": embedders})),
            _TopLayer(config.lstm),
            num_samples=num_samples,
            sparse_embeddings=True,
        )
        reader = {
            "type": "simple_language_modeling",
            "tokenizer": {"type": "just_spaces"},
            "token_indexers": {
                "tokens": {"type": "single_id"},
                "token_characters": {"type": "elmo_characters"},
            },
            "start_tokens": ["<S>"],
            "end_tokens": ["</S>"],
        }
        super().__init__(model, DatasetReader.from_params(Params(reader)))

    def losses(self, tensors: TensorDict) -> dict[str, Part]:
        model, source = self.model, tensors["source"]
        # (batch, time)
        words = source["tokens"]["tokens"]
        following, preceding = torch.zeros_like(words), torch.zeros_like(words)
        following[:, :-1], preceding[:, 1:] = words[:, 1:], words[:, :-1]
        mask = words > 0
        # (batch, time, hidden_size), (batch, time, 2 * hidden_size)
        embedded = _leaf(model._text_field_embedder(source))
        context = _leaf(model._contextualizer(embedded, mask))
        return {
            "character_encoder": lambda: model._text_field_embedder(source).sum(),
            "lstm": lambda: model._contextualizer(embedded, mask).sum(),
            "softmax": lambda: sum(model._compute_loss(context, embedded, following, preceding)),
        }


class _TopLayer(Seq2SeqEncoder):
    """AllenNLP's `ElmoLstm` as a contextualizer, which forgets one batch before the next."""

    def __init__(self, config: LstmConfig) -> None:
        super().__init__()
        self.lstm = AllenNlpElmoLstm(
            input_size=config.hidden_size,
            hidden_size=config.hidden_size,
            cell_size=config.cell_size,
            num_layers=config.num_layers,
            memory_cell_clip_value=config.cell_clip,
            state_projection_clip_value=config.projection_clip,
        )

    def get_output_dim(self) -> int:
        return 2 * self.lstm.hidden_size

    def is_bidirectional(self) -> bool:
        return True

    def forward(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        self.lstm.reset_states()
        return self.lstm(inputs, mask)[-1]


def _similar_sentences(sentences: Sequence[list[str]], number: int) -> list[list[str]]:
    """Returns sentences of about the median length, as a trainer draws them: from anywhere."""
    drawn = random.Random(1).sample(list(sentences), min(len(sentences), 16 * number))
    first = (len(drawn) - number) // 2
    return sorted(drawn, key=len)[first : first + number]


def _leaf(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().requires_grad_()


def _limit(config: ElmoConfig, num_samples: int, batch: Sequence[list[str]], peak: float) -> float:
    """
    The tokens/s that the machine's peak allows if products alone took time: those of a step,
    forward and, for each, two backward.
    """
    size, cell = config.lstm.hidden_size, config.lstm.cell_size
    lstm = config.lstm.num_layers * (8 * cell * size + cell * size)
    # a mark is read, and one predicted, by each direction
    inputs = 2 * sum(len(sentence) + 1 for sentence in batch)
    features = config.char_cnn.num_filters
    filters = config.char_cnn.embedding_size * sum(
        width * number for width, number in config.char_cnn.filters
    )
    word = 2 * config.char_cnn.num_highway_layers * features**2 + features * size
    different = {word for sentence in batch for word in sentence}
    # each word's characters and three marks
    windows = sum(len(form) + 3 for form in different)
    products = inputs * (lstm + num_samples * size) + word * len(different) + filters * windows
    return sum(map(len, batch)) / (3 * 2 * products / peak / 1e9)
