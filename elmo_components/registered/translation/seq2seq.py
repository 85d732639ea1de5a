"""allennlp-models' encoder-decoder with metrics of its output text."""

from typing import Any, Optional

import torch
from allennlp.data import TextFieldTensors, Vocabulary
from allennlp.models import Model
from allennlp.modules import Seq2SeqEncoder, TextFieldEmbedder
from allennlp.nn import InitializerApplicator
from allennlp.nn.util import get_text_field_mask
from allennlp.training.metrics import Metric
from allennlp_models.generation import ComposedSeq2Seq, SeqDecoder

from elmo_components.registered.tokenizers.spacy_blank import join_tokens

__all__ = ["TextSeq2Seq"]


@Model.register("elmo_seq2seq")
class TextSeq2Seq(ComposedSeq2Seq):
    """
    allennlp-models' "composed_seq2seq" with dropout and with metrics of its output text.

    The decoder's own metrics compare tokens of the vocabulary: a rare word is unknown in the
    reference too, so a model that writes the unknown token is right. Here `join_tokens` makes a
    text of the tokens, and the metric compares it with the file's own text.

    Registered as a `Model` with name "elmo_seq2seq".

    # Parameters

    source_text_embedder, encoder, decoder, tied_source_embedder_key, initializer
        See `ComposedSeq2Seq`, where `tied_source_embedder_key` has no effect; here it replaces the
        source's embedder by the decoder's. The decoder's `beam_search` runs in evaluation only.
    text_based_metric : `Optional[Metric]`
        A metric of texts and their references, such as "sacrebleu"; `None` for none.
    dropout : `float`
        The probability that an element of the encoder's input or output is 0, in training.
    **kwargs
        See `Model`: `regularizer`, `serialization_dir`, `ddp_accelerator`.
    """

    default_predictor = "elmo_translator"

    def __init__(
        self,
        vocab: Vocabulary,
        source_text_embedder: TextFieldEmbedder,
        encoder: Seq2SeqEncoder,
        decoder: SeqDecoder,
        tied_source_embedder_key: Optional[str] = None,
        text_based_metric: Optional[Metric] = None,
        dropout: float = 0.0,
        initializer: Optional[InitializerApplicator] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            vocab,
            source_text_embedder,
            encoder,
            decoder,
            tied_source_embedder_key,
            initializer or InitializerApplicator(),
            **kwargs,
        )
        if tied_source_embedder_key is not None:
            # AllenNLP's constructor replaces the embedder in a dictionary that nothing reads
            name = f"token_embedder_{tied_source_embedder_key}"
            setattr(source_text_embedder, name, decoder.target_embedder)
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
            Their translations, for training.
        metadata : `Optional[List[Dict[str, Any]]]`
            The translations' texts under "target", for the metric.

        # Returns

        `Dict[str, torch.Tensor]`
            "loss", with translations; in evaluation the results of the beam search, best first:
            "predictions", int64, (batch, beam, time), and "class_log_probabilities", (batch, beam).
        """
        output = super().forward(source_tokens, target_tokens)
        if self._text_based_metric is not None and metadata is not None and not self.training:
            texts = [join_tokens(tokens) for tokens in self._best_tokens(output)]
            references = [pair["target"] for pair in metadata]
            self._text_based_metric(texts, references)  # type: ignore[arg-type,call-arg]
        return output

    def make_output_human_readable(self, output_dict: dict[str, Any]) -> dict[str, Any]:
        """Adds the best result's "predicted_tokens" and "translation", in evaluation."""
        # there is no search in training
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
