"""The AllenNLP layer: importing it registers every component of this package."""

# ruff: noqa: E402
from elmo_components.registered.needs import import_allennlp

# before the modules that cannot be imported without it
import_allennlp()

from elmo_components.registered.commands import (
    ConvertCommand,
    EmbedCommand,
    ExportCommand,
    InspectCommand,
    VocabularyCommand,
)
from elmo_components.registered.compatibility import (  # noqa: F401
    locks,
    recover,
    torch2,
    transformers,
)
from elmo_components.registered.data_loaders.global_batches import GlobalBatchLoader
from elmo_components.registered.dataset_readers.columns import ColumnReader
from elmo_components.registered.dataset_readers.corpus import CorpusReader
from elmo_components.registered.dataset_readers.labelled_lines import LabelledLinesReader
from elmo_components.registered.dataset_readers.word_in_context import WordInContextReader
from elmo_components.registered.models.language_model import ElmoLanguageModel
from elmo_components.registered.models.word_in_context import WordInContext
from elmo_components.registered.predictors import defaults, hotflip  # noqa: F401
from elmo_components.registered.predictors.classifier import ElmoClassifierPredictor
from elmo_components.registered.predictors.language_model import ElmoLanguageModelPredictor
from elmo_components.registered.predictors.tagger import ElmoTaggerPredictor
from elmo_components.registered.predictors.word_in_context import WordInContextPredictor
from elmo_components.registered.seq2seq_encoders.elmo_lstm import ElmoLstmEncoder
from elmo_components.registered.token_embedders.elmo import ElmoEmbedder
from elmo_components.registered.token_embedders.lexicon import LexiconEmbedder
from elmo_components.registered.token_embedders.two_places import AroundEncoder, ElmoForTwoPlaces
from elmo_components.registered.token_indexers.elmo_character_ids import ElmoCharacterIndexer
from elmo_components.registered.token_indexers.lexicon import LexiconIndexer
from elmo_components.registered.tokenizers.spacy_blank import JoinedTokenizer, SpacyBlankTokenizer
from elmo_components.registered.training.checkpointer import WholeCheckpointer
from elmo_components.registered.training.lost_process import ElmoLostProcess
from elmo_components.registered.training.progress import ElmoProgress
from elmo_components.registered.training.resume import ElmoResume
from elmo_components.registered.translation.beam_constraint import KnownWords
from elmo_components.registered.translation.bleu import SacreBleu
from elmo_components.registered.translation.parallel_reader import ParallelReader
from elmo_components.registered.translation.seq2seq import TextSeq2Seq
from elmo_components.registered.translation.translator import ElmoTranslatorPredictor

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
    "ElmoLanguageModelPredictor",
    "ElmoLostProcess",
    "ElmoLstmEncoder",
    "ElmoProgress",
    "ElmoResume",
    "ElmoTaggerPredictor",
    "ElmoTranslatorPredictor",
    "EmbedCommand",
    "ExportCommand",
    "GlobalBatchLoader",
    "InspectCommand",
    "JoinedTokenizer",
    "KnownWords",
    "LabelledLinesReader",
    "LexiconEmbedder",
    "LexiconIndexer",
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
