"""
Importing this module makes AllenNLP's ELMo ours: unmodified configurations and archives that say
"elmo_token_embedder" and "elmo_characters" run on this package's implementation.

    allennlp train config.jsonnet -s output --include-package elmo_components.drop_in

`docs/drop_in.md` says what stays the same and what does not.
"""

from elmo_components.registered.drop_in.elmo import install

install()
