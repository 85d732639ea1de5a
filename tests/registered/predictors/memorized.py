"""Predictors whose models have learned a few instances by heart."""

from typing import Any

import allennlp_models.tagging  # noqa: F401
import torch
from allennlp.common import Params
from allennlp.data import Batch, DatasetReader, Instance, Vocabulary
from allennlp.models import Model
from allennlp.predictors import Predictor

import elmo_components.registered  # noqa: F401


def make_predictor(
    settings: dict[str, Any], model: dict[str, Any], reader: DatasetReader, labels: list[str]
) -> Predictor:
    """Returns a predictor of a model with random weights."""
    vocabulary = Vocabulary(tokens_to_add={"labels": labels})
    made = Model.from_params(Params(model), vocab=vocabulary).eval()
    return Predictor.from_params(Params(dict(settings)), model=made, dataset_reader=reader)


def memorized(
    name: str, params: dict[str, Any], reader: DatasetReader, instances: list[Instance]
) -> Predictor:
    """Returns a predictor of a model that was trained until its loss was small."""
    torch.manual_seed(1)
    for instance in instances:
        reader.apply_token_indexers(instance)
    model = Model.from_params(Params(params), vocab=Vocabulary.from_instances(instances))
    optimizer = torch.optim.Adam(
        [parameter for parameter in model.parameters() if parameter.requires_grad], lr=0.05
    )
    batch = Batch(instances)
    batch.index_instances(model.vocab)
    for _ in range(400):
        optimizer.zero_grad()
        loss = model(**batch.as_tensor_dict())["loss"]
        loss.backward()
        optimizer.step()
        if float(loss) < 0.1:
            break
    else:
        raise AssertionError(f"the loss is {float(loss)}")
    return Predictor.by_name(name)(model.eval(), reader)
