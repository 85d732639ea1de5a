"""The AllenNLP layer: importing it registers every component of this package."""

from elmo_components.registered import allennlp_on_torch2  # noqa: F401
from elmo_components.registered.callbacks import ElmoProgress, ElmoResume, WholeCheckpointer
from elmo_components.registered.convert_command import ConvertCommand
from elmo_components.registered.corpus_reader import CorpusReader
from elmo_components.registered.embed_command import EmbedCommand
from elmo_components.registered.embedder import ElmoEmbedder
from elmo_components.registered.encoder import ElmoLstmEncoder
from elmo_components.registered.export_command import ExportCommand
from elmo_components.registered.indexer import ElmoCharacterIndexer
from elmo_components.registered.inspect_command import InspectCommand
from elmo_components.registered.language_model import ElmoLanguageModel
from elmo_components.registered.predictor import ElmoClassifierPredictor, ElmoTaggerPredictor
from elmo_components.registered.reader import ColumnReader
from elmo_components.registered.tokenizer import SpacyBlankTokenizer
from elmo_components.registered.vocabulary_command import VocabularyCommand

__all__ = [
    "ColumnReader",
    "ConvertCommand",
    "CorpusReader",
    "ElmoCharacterIndexer",
    "ElmoClassifierPredictor",
    "ElmoEmbedder",
    "ElmoLanguageModel",
    "ElmoLstmEncoder",
    "ElmoProgress",
    "ElmoResume",
    "ElmoTaggerPredictor",
    "EmbedCommand",
    "ExportCommand",
    "InspectCommand",
    "SpacyBlankTokenizer",
    "VocabularyCommand",
    "WholeCheckpointer",
]
