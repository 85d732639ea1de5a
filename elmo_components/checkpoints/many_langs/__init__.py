"""The format of ELMoForManyLangs (Che et al. 2018), which NLPL publishes in zips."""

from elmo_components.checkpoints.many_langs.format import FILES, PICKLES, load, matches, save

__all__ = ["FILES", "PICKLES", "load", "matches", "save"]
