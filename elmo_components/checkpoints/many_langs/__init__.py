"""ELMoForManyLangs' folders and zips."""

from elmo_components.checkpoints.many_langs.format import load, matches, save

__all__ = ["load", "matches", "save"]
