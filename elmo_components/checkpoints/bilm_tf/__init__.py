"""The format that bilm-tf writes and AllenNLP publishes: `options.json` and `weights.hdf5`."""

from elmo_components.checkpoints.bilm_tf.format import FILES, load, matches, read_options, save

__all__ = ["FILES", "load", "matches", "read_options", "save"]
