"""The AllenNLP layer: importing it registers every component of this package."""

from elmo_components.registered import (  # noqa: F401
    allennlp_on_torch2,
    allennlp_on_transformers,
)
from elmo_components.registered.beam_constraint import KnownWords
from elmo_components.registered.bleu import SacreBleu
from elmo_components.registered.callbacks import ElmoProgress, ElmoResume, WholeCheckpointer
from elmo_components.registered.convert_command import ConvertCommand
from elmo_components.registered.corpus_reader import CorpusReader
from elmo_components.registered.embed_command import EmbedCommand
from elmo_components.registered.embedder import ElmoEmbedder
from elmo_components.registered.encoder import ElmoLstmEncoder
from elmo_components.registered.export_command import ExportCommand
from elmo_components.registered.indexer import ElmoCharacterIndexer
from elmo_components.registered.inspect_command import InspectCommand
from elmo_components.registered.labelled_lines_reader import LabelledLinesReader
from elmo_components.registered.language_model import ElmoLanguageModel
from elmo_components.registered.parallel_reader import ParallelReader
from elmo_components.registered.predictor import ElmoClassifierPredictor, ElmoTaggerPredictor
from elmo_components.registered.reader import ColumnReader
from elmo_components.registered.seq2seq import TextSeq2Seq
from elmo_components.registered.tokenizer import JoinedTokenizer, SpacyBlankTokenizer
from elmo_components.registered.translator import ElmoTranslatorPredictor
from elmo_components.registered.two_places import AroundEncoder, ElmoForTwoPlaces
from elmo_components.registered.vocabulary_command import VocabularyCommand
from elmo_components.registered.word_in_context import WordInContext
from elmo_components.registered.word_in_context_predictor import WordInContextPredictor
from elmo_components.registered.word_in_context_reader import WordInContextReader

__all__ = [
    "AroundEncoder",
    "ColumnReader",
    "ConvertCommand",
    "CorpusReader",
    "ElmoCharacterIndexer",
    "ElmoClassifierPredictor",
    "ElmoEmbedder",
    "ElmoForTwoPlaces",
    "ElmoLanguageModel",
    "ElmoLstmEncoder",
    "ElmoProgress",
    "ElmoResume",
    "ElmoTaggerPredictor",
    "ElmoTranslatorPredictor",
    "EmbedCommand",
    "ExportCommand",
    "InspectCommand",
    "JoinedTokenizer",
    "KnownWords",
    "LabelledLinesReader",
    "ParallelReader",
    "SacreBleu",
    "SpacyBlankTokenizer",
    "TextSeq2Seq",
    "VocabularyCommand",
    "WholeCheckpointer",
    "WordInContext",
    "WordInContextPredictor",
    "WordInContextReader",
]
