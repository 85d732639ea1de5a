"""
Importing this module replaces AllenNLP's ELMo by this package's implementation: configurations and
archives with "elmo_token_embedder" and "elmo_characters" run on it unmodified.

    allennlp train config.jsonnet -s output --include-package elmo_components.drop_in

`docs/drop_in.md` describes what stays the same and what differs.
"""

from elmo_components.registered.drop_in.elmo import install

install()
