"""Training a biLM on plain text: corpus, vocabulary, softmaxes and the language model."""
