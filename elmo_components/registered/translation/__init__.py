"""Translation: reader, model, metric and predictor; only here is `allennlp_models` imported."""
