"""BLEU of whole texts, as sacreBLEU defines it."""

from collections.abc import Sequence

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

    It compares texts, not a model's tokens: the package splits both alike, so that figures of
    models whose tokens differ can be compared, and with published ones. Its signature is
    `nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp`, with another "tok" where `tokenize` says so.

    Kept from batch to batch are counts of n-grams, which add up; so the figure is that of the whole
    corpus, not a mean of batches, and in distributed training that of all processes' texts.

    Registered as a `Metric` with name "sacrebleu".

    # Parameters

    tokenize : `str`
        How the package splits texts into words: "13a", or "zh" for Chinese, "char", "intl".

    # Raises

    `ConfigurationError` without the package, and for a `tokenize` that it has not.
    """

    supports_distributed = True

    def __init__(self, tokenize: str = "13a") -> None:
        try:
            from sacrebleu.metrics import BLEU
        except ImportError as error:
            raise ConfigurationError(
                "The metric sacrebleu must have the package of that name: install "
                f"elmo_components[translation]; found {error}"
            ) from error
        try:
            self._bleu = BLEU(tokenize=tokenize)
        except KeyError as error:
            raise ConfigurationError(
                f'tokenize must be one of sacrebleu\'s names, such as "13a"; found {tokenize!r}'
            ) from error
        self.reset()

    def reset(self) -> None:
        """Forgets all texts."""
        # matching n-grams, all n-grams, and how long translations and references are
        self._counts = [0] * (2 * ORDERS + 2)

    def __call__(  # type: ignore[override]
        self, predictions: Sequence[str], references: Sequence[str]
    ) -> None:
        """Adds texts, and what each should be, a string too."""
        if any(isinstance(texts, str) for texts in (predictions, references)) or not all(
            isinstance(text, str) for texts in (predictions, references) for text in texts
        ):
            raise ConfigurationError(
                "sacrebleu must be given lists of texts, not of tokens or ids; found "
                f"{predictions!r} and {references!r}"
            )
        score = self._bleu.corpus_score(predictions, [references])
        found = [*score.counts, *score.totals, score.sys_len, score.ref_len]
        self._counts = [count + dist_reduce_sum(more) for count, more in zip(self._counts, found)]

    def get_metric(self, reset: bool = False) -> dict[str, float]:
        """Returns "BLEU", from 0 to 100, of all texts since the last reset."""
        matching, total = self._counts[:ORDERS], self._counts[ORDERS : 2 * ORDERS]
        score = self._bleu.compute_bleu(
            matching,
            total,
            sys_len=self._counts[-2],
            ref_len=self._counts[-1],
            smooth_method=self._bleu.smooth_method,
        ).score
        if reset:
            self.reset()
        return {"BLEU": score}
