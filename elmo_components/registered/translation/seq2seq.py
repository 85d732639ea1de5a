"""allennlp-models' encoder-decoder, measured by the texts that it writes."""

from typing import Any, Optional

import torch
from allennlp.data import TextFieldTensors, Vocabulary
from allennlp.models import Model
from allennlp.modules import Seq2SeqEncoder, TextFieldEmbedder
from allennlp.nn.util import get_text_field_mask
from allennlp.training.metrics import Metric
from allennlp_models.generation import ComposedSeq2Seq, SeqDecoder

from elmo_components.registered.tokenizers.spacy_blank import join_tokens

__all__ = ["TextSeq2Seq"]


@Model.register("elmo_seq2seq")
class TextSeq2Seq(ComposedSeq2Seq):
    """
    allennlp-models' "composed_seq2seq" with dropout, and with metrics of what it writes as text.

    The decoder's own metrics compare tokens of the vocabulary: what is rare is an unknown token in
    the reference too, and counts as right where the model writes that it does not know. Here the
    tokens are joined to a text (`join_tokens`), which is compared with the reference as it stands
    in the file.

    Registered as a `Model` with name "elmo_seq2seq".

    # Parameters

    source_text_embedder, encoder, decoder
        See `ComposedSeq2Seq`. The decoder searches with its `beam_search` in evaluation only.
    text_based_metric : `Optional[Metric]`
        A metric of texts and their references, such as "sacrebleu"; `None` for none.
    dropout : `float`
        The probability that an element of what the encoder reads, and of what it makes of that, is
        0, in training.
    """

    def __init__(
        self,
        vocab: Vocabulary,
        source_text_embedder: TextFieldEmbedder,
        encoder: Seq2SeqEncoder,
        decoder: SeqDecoder,
        text_based_metric: Optional[Metric] = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(vocab, source_text_embedder, encoder, decoder)
        self._text_based_metric = text_based_metric
        self._dropout = torch.nn.Dropout(dropout)

    def forward(
        self,
        source_tokens: TextFieldTensors,
        target_tokens: Optional[TextFieldTensors] = None,
        metadata: Optional[list[dict[str, Any]]] = None,
    ) -> dict[str, torch.Tensor]:
        """
        # Parameters

        source_tokens : `TextFieldTensors`
            The sentences.
        target_tokens : `Optional[TextFieldTensors]`
            Their translations, which training needs.
        metadata : `Optional[List[Dict[str, Any]]]`
            With the translations as text under "target", which the metric needs.

        # Returns

        `Dict[str, torch.Tensor]`
            "loss", with translations; and in evaluation what the beam search found, best first:
            "predictions", int64, (batch, beam, time), and "class_log_probabilities", (batch, beam).
        """
        output = super().forward(source_tokens, target_tokens)
        if self._text_based_metric is not None and metadata is not None and not self.training:
            texts = [join_tokens(tokens) for tokens in self._best_tokens(output)]
            references = [pair["target"] for pair in metadata]
            self._text_based_metric(texts, references)  # type: ignore[arg-type,call-arg]
        return output

    def make_output_human_readable(self, output_dict: dict[str, Any]) -> dict[str, Any]:
        """Adds, in evaluation, the best one's "predicted_tokens", and its text, "translation"."""
        # in training nothing is searched for
        if "predictions" not in output_dict:
            return output_dict
        tokens = self._best_tokens(output_dict)
        output_dict["predicted_tokens"] = tokens
        output_dict["translation"] = [join_tokens(sentence) for sentence in tokens]
        return output_dict

    def get_metrics(self, reset: bool = False) -> dict[str, float]:
        """Returns the metrics of the decoder and, in evaluation, of the texts."""
        metrics = super().get_metrics(reset)
        if self._text_based_metric is not None and not self.training:
            metrics.update(self._text_based_metric.get_metric(reset))
        return metrics

    default_predictor = "elmo_translator"

    def _best_tokens(self, output: dict[str, Any]) -> list[list[str]]:
        return self._decoder.indices_to_tokens(output["predictions"])

    def _encode(self, source_tokens: TextFieldTensors) -> dict[str, torch.Tensor]:
        # (batch, time, input_size)
        embedded = self._dropout(self._source_text_embedder(source_tokens))
        # (batch, time)
        mask = get_text_field_mask(source_tokens)
        # (batch, time, hidden_size)
        outputs = self._dropout(self._encoder(embedded, mask))
        return {"source_mask": mask, "encoder_outputs": outputs}
