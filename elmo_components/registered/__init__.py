"""The AllenNLP layer: importing it registers every component of this package."""

from elmo_components.registered import allennlp_on_torch2  # noqa: F401
from elmo_components.registered.embedder import ElmoEmbedder
from elmo_components.registered.encoder import ElmoLstmEncoder
from elmo_components.registered.indexer import ElmoCharacterIndexer
from elmo_components.registered.predictor import ElmoClassifierPredictor, ElmoTaggerPredictor
from elmo_components.registered.reader import ColumnReader
from elmo_components.registered.tokenizer import SpacyBlankTokenizer

__all__ = [
    "ColumnReader",
    "ElmoCharacterIndexer",
    "ElmoClassifierPredictor",
    "ElmoEmbedder",
    "ElmoLstmEncoder",
    "ElmoTaggerPredictor",
    "SpacyBlankTokenizer",
]
