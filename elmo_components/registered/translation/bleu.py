"""BLEU of whole texts, as sacreBLEU defines it."""

from collections.abc import Sequence

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.nn.util import dist_reduce_sum
from allennlp.training.metrics import Metric

__all__ = ["SacreBleu"]

# n-grams of 1 to 4 words
ORDERS = 4


@Metric.register("sacrebleu")
class SacreBleu(Metric):
    """
    BLEU of a corpus with one reference, computed by the package sacrebleu (Post 2018).

    It compares texts, which the package tokenizes, not a model's tokens: models with other tokens,
    and published figures, are comparable. Its signature is
    `nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp`, with `tokenize` for "tok".

    The metric adds up counts of n-grams over batches, and over the processes of distributed
    training, so the figure is that of the whole corpus. Each process must score the same number of
    batches, which AllenNLP's trainer ensures; the batches' sizes may differ.

    Registered as a `Metric` with name "sacrebleu".

    # Parameters

    tokenize : `str`
        The package's tokenizer: "13a", "zh" for Chinese, "char", "intl".

    # Raises

    `ConfigurationError` without the package, and for an unknown `tokenize`.
    """

    supports_distributed = True

    def __init__(self, tokenize: str = "13a") -> None:
        try:
            from sacrebleu.metrics import BLEU
        except ImportError as error:
            raise ConfigurationError(
                "The metric sacrebleu needs the package sacrebleu. Install "
                f"elmo_components[translation] ({error})"
            ) from error
        try:
            self._bleu = BLEU(tokenize=tokenize)
        except KeyError as error:
            raise ConfigurationError(
                f'tokenize must be one of sacrebleu\'s names, such as "13a"; found {tokenize!r}'
            ) from error
        self.reset()

    def reset(self) -> None:
        """Sets all counts to 0."""
        # (2 * ORDERS + 2,): matching n-grams, all n-grams, lengths of translations and references
        self._counts = torch.zeros(2 * ORDERS + 2, dtype=torch.int64)

    def __call__(  # type: ignore[override]
        self, predictions: Sequence[str], references: Sequence[str]
    ) -> None:
        """Adds texts and their references."""
        if any(isinstance(texts, str) for texts in (predictions, references)) or not all(
            isinstance(text, str) for texts in (predictions, references) for text in texts
        ):
            raise ConfigurationError(
                "sacrebleu takes lists of texts, not of tokens or ids; found "
                f"{predictions!r} and {references!r}"
            )
        # (2 * ORDERS + 2,)
        counts = torch.zeros_like(self._counts)
        # sacrebleu does not accept an empty corpus
        if len(predictions) > 0:
            score = self._bleu.corpus_score(predictions, [references])
            counts += torch.tensor([*score.counts, *score.totals, score.sys_len, score.ref_len])
        self._counts += dist_reduce_sum(counts).cpu()

    def get_metric(self, reset: bool = False) -> dict[str, float]:
        """Returns "BLEU", from 0 to 100, of all texts since the last reset."""
        counts = self._counts.tolist()
        score = self._bleu.compute_bleu(
            counts[:ORDERS],
            counts[ORDERS : 2 * ORDERS],
            sys_len=counts[-2],
            ref_len=counts[-1],
            smooth_method=self._bleu.smooth_method,
        ).score
        if reset:
            self.reset()
        return {"BLEU": score}
