"""
AllenNLP's default `Predictor`s of taggers and classifiers, for archives with our readers; and one
for the biattentive classification network, "bcn", for which AllenNLP has none.
"""

import logging
from typing import Any

from allennlp.data import DatasetReader
from allennlp.models import Model
from allennlp.predictors import Predictor, SentenceTaggerPredictor, TextClassifierPredictor
from allennlp_models.classification.models.biattentive_classification_network import (
    BiattentiveClassificationNetwork,
)

from elmo_components.registered.dataset_readers.columns import ColumnReader
from elmo_components.registered.dataset_readers.labelled_lines import LabelledLinesReader
from elmo_components.registered.predictors.classifier import ElmoClassifierPredictor
from elmo_components.registered.predictors.tagger import ElmoTaggerPredictor

__all__ = ["DefaultClassifier", "DefaultTagger"]

logger = logging.getLogger(__name__)


@Predictor.register("sentence_tagger", constructor="for_reader", exist_ok=True)
class DefaultTagger(SentenceTaggerPredictor):
    """
    AllenNLP's `SentenceTaggerPredictor`; for a model that was trained with "elmo_columns", the
    predictor "elmo_tagger", which needs no download and splits text as the reader does.

    Registered as a `Predictor` with name "sentence_tagger", in place of AllenNLP's.
    """

    @classmethod
    def for_reader(cls, model: Model, dataset_reader: DatasetReader, **settings: Any) -> Predictor:
        """Returns the predictor for a reader. `settings` are the predictor's."""
        if isinstance(dataset_reader, ColumnReader):
            logger.info("The predictor is elmo_tagger, since the reader is elmo_columns")
            return ElmoTaggerPredictor(model, dataset_reader, **settings)
        return SentenceTaggerPredictor(model, dataset_reader, **settings)


@Predictor.register("text_classifier", constructor="for_reader", exist_ok=True)
class DefaultClassifier(TextClassifierPredictor):
    """
    AllenNLP's `TextClassifierPredictor`; for a model that was trained with "elmo_labelled_lines",
    the predictor "elmo_classifier", which needs no download.

    Registered as a `Predictor` with name "text_classifier", in place of AllenNLP's.
    """

    @classmethod
    def for_reader(cls, model: Model, dataset_reader: DatasetReader, **settings: Any) -> Predictor:
        """Returns the predictor for a reader. `settings` are the predictor's."""
        if isinstance(dataset_reader, LabelledLinesReader):
            logger.info("The predictor is elmo_classifier, since the reader is elmo_labelled_lines")
            return ElmoClassifierPredictor(model, dataset_reader, **settings)
        return TextClassifierPredictor(model, dataset_reader, **settings)


if BiattentiveClassificationNetwork.default_predictor is None:
    logger.info("Patching AllenNLP: the default predictor of bcn is elmo_classifier")
    BiattentiveClassificationNetwork.default_predictor = "elmo_classifier"
