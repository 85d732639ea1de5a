"""Why `allennlp.interpret`'s Hotflip does not attack ELMo."""

from functools import wraps

from allennlp.common.checks import ConfigurationError
from allennlp.interpret.attackers import Hotflip

from elmo_components.registered.token_indexers.elmo_character_ids import ElmoCharacterIndexer

__all__: list[str] = []

_initialize = Hotflip.initialize


@wraps(_initialize)
def _refuse_elmo(attacker: Hotflip) -> None:
    indexers = getattr(attacker.predictor._dataset_reader, "_token_indexers", {})
    if any(isinstance(indexer, ElmoCharacterIndexer) for indexer in indexers.values()):
        raise ConfigurationError(
            "Hotflip replaces a word by another with a similar vector, and in ELMo a word has no "
            "vector without its sentence. Use InputReduction, which works with ELMo"
        )
    _initialize(attacker)


Hotflip.initialize = _refuse_elmo  # type: ignore[method-assign]
