"""Ray Data as the engine of corpora. `elmo_components.ray` has what pipelines use."""
