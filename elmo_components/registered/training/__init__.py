"""Callbacks, checkpointer and metrics for AllenNLP's trainer."""
