"""An AllenNLP `Model` that predicts whether a word has the same sense in two sentences."""

from typing import Any, Optional

import torch
from allennlp.common import Registrable
from allennlp.common.checks import ConfigurationError
from allennlp.data import TextFieldTensors, Vocabulary
from allennlp.models import Model
from allennlp.modules import FeedForward, Seq2SeqEncoder, TextFieldEmbedder
from allennlp.nn import InitializerApplicator
from allennlp.nn.util import get_text_field_mask
from allennlp.training.metrics import BooleanAccuracy

from elmo_components.registered.models.auc import GatheredAuc

__all__ = ["Cosine", "Features", "WordComparison", "WordInContext"]

LABELS = ("F", "T")


class WordComparison(torch.nn.Module, Registrable):
    """Logits, (batch,), that two vectors of a word, (batch, size), are of one sense."""


@WordComparison.register("cosine")
class Cosine(WordComparison):
    """
    scale · (cosine - threshold), with scale and threshold learned.

    Registered as a `WordComparison` with name "cosine".

    # Parameters

    scale, threshold : `float`
        Their initial values.
    """

    def __init__(self, scale: float = 10.0, threshold: float = 0.5) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(scale))
        self.threshold = torch.nn.Parameter(torch.tensor(threshold))

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Returns the logits."""
        # (batch,)
        cosine = torch.nn.functional.cosine_similarity(first, second)
        return self.scale * (cosine - self.threshold)


@WordComparison.register("features")
class Features(WordComparison):
    """
    A feedforward network and a linear layer, of [a, b, |a - b|, a · b].

    Registered as a `WordComparison` with name "features".

    # Parameters

    feedforward : `FeedForward`
        Its `input_dim` is four times a vector's size.
    """

    def __init__(self, feedforward: FeedForward) -> None:
        super().__init__()
        self.feedforward = feedforward
        self.last = torch.nn.Linear(feedforward.get_output_dim(), 1)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Returns the logits."""
        if 4 * first.size(-1) != self.feedforward.get_input_dim():
            raise ConfigurationError(
                f"The input_dim of the comparison's feedforward must be {4 * first.size(-1)}, four "
                f"times the size of a vector; found {self.feedforward.get_input_dim()}"
            )
        # (batch, 4 * size)
        features = torch.cat([first, second, (first - second).abs(), first * second], dim=-1)
        # (batch,)
        return self.last(self.feedforward(features)).squeeze(-1)


@Model.register("elmo_word_in_context")
class WordInContext(Model):
    """
    Predicts whether a word has the same sense in two sentences, from its two vectors (Word in
    Context, Pilehvar and Camacho-Collados 2019). The dataset reader is `elmo_word_in_context`.

    The metrics are "accuracy" and "auc", the area under the ROC curve.

    Registered as a `Model` with name "elmo_word_in_context".

    # Parameters

    vocab : `Vocabulary`
    text_field_embedder : `TextFieldEmbedder`
        Embeds each sentence.
    comparison : `Optional[WordComparison]`
        "cosine" or "features"; `None` for "cosine".
    encoder : `Optional[Seq2SeqEncoder]`
        Reads each embedded sentence; `None` for the embedded word itself.
    dropout : `float`
        The probability that an element of a word's vector is 0, in training.
    initializer : `Optional[InitializerApplicator]`
        Initializes parameters by regular expressions; `None` for the modules' own values.
    regularizer : `Optional[RegularizerApplicator]`
        Adds penalties to the loss by regular expressions; `None` for none.
    """

    default_predictor = "elmo_word_in_context"

    def __init__(
        self,
        vocab: Vocabulary,
        text_field_embedder: TextFieldEmbedder,
        comparison: Optional[WordComparison] = None,
        encoder: Optional[Seq2SeqEncoder] = None,
        dropout: float = 0.0,
        initializer: Optional[InitializerApplicator] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(vocab, **kwargs)
        self.text_field_embedder = text_field_embedder
        self.comparison = comparison or Cosine()
        self.encoder = encoder
        self.dropout = torch.nn.Dropout(dropout)
        self._accuracy = BooleanAccuracy()
        self._auc = GatheredAuc()
        if initializer is not None:
            initializer(self)

    def forward(
        self,
        first: TextFieldTensors,
        second: TextFieldTensors,
        first_index: torch.Tensor,
        second_index: torch.Tensor,
        metadata: Optional[list[dict[str, Any]]] = None,
        label: Optional[torch.Tensor] = None,
    ) -> dict[str, torch.Tensor]:
        """
        # Parameters

        first, second : `TextFieldTensors`
            The sentences.
        first_index, second_index : `torch.Tensor`
            int64, (batch, 1): the word's place in each.
        metadata : `Optional[List[Dict[str, Any]]]`
            Not used.
        label : `Optional[torch.Tensor]`
            int64, (batch,): 1 for the same sense.

        # Returns

        `Dict[str, torch.Tensor]`
            "probabilities", (batch,), of the same sense; with labels, "loss".
        """
        logits = self.comparison(self._word(first, first_index), self._word(second, second_index))
        output = {"probabilities": torch.sigmoid(logits)}
        if label is not None:
            output["loss"] = torch.nn.functional.binary_cross_entropy_with_logits(
                logits, label.to(logits.dtype)
            )
            self._accuracy((logits > 0).long(), label)
            self._auc(logits, label)
        return output

    def make_output_human_readable(
        self, output_dict: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Adds "label": "T" or "F" for each."""
        readable: dict[str, Any] = dict(output_dict)
        readable["label"] = [LABELS[int(one > 0.5)] for one in output_dict["probabilities"]]
        return readable

    def get_metrics(self, reset: bool = False) -> dict[str, float]:
        """Returns "accuracy" and "auc" since the last reset."""
        return {
            "accuracy": float(self._accuracy.get_metric(reset)),
            "auc": float(self._auc.get_metric(reset)),
        }

    def _word(self, sentence: TextFieldTensors, index: torch.Tensor) -> torch.Tensor:
        # (batch, time, size)
        vectors = self.text_field_embedder(sentence)
        if self.encoder is not None:
            vectors = self.encoder(vectors, get_text_field_mask(sentence))
        rows = torch.arange(index.size(0), device=index.device)
        # (batch, size)
        return self.dropout(vectors[rows, index.squeeze(-1)])
