"""AllenNLP's sub-commands `elmo-embed`, `elmo-convert`, `elmo-inspect` and the others."""
