"""`Predictor`s that take raw text."""
