// The tagger of ner.jsonnet with nothing pre-trained: learned word vectors and a character CNN. It is
// what ELMo's gain is measured against.
//
// Data: as in ner.jsonnet.
//
//   allennlp train training_configs/tagging/ner_without_elmo.jsonnet -s output/ner_without_elmo --include-package elmo_components
//
// Measured: span F1 0.743 on the development and 0.661 on the test sentences of the fixtures, in 1.2
// minutes on 1 core. WNUT-17, its files as published: test F1 0.126, 0.140 and 0.134 with three seeds.
local tagger = import 'ner.jsonnet';

tagger {
  word_size:: 100,
  num_filters:: 128,

  dataset_reader+: {
    token_indexers: {
      tokens: { type: 'single_id', lowercase_tokens: true },
      token_characters: { type: 'characters', min_padding_length: 3 },
    },
  },
  model+: {
    text_field_embedder: {
      token_embedders: {
        tokens: { type: 'embedding', embedding_dim: $.word_size },
        token_characters: {
          type: 'character_encoding',
          embedding: { embedding_dim: 16, vocab_namespace: 'token_characters' },
          encoder: {
            type: 'cnn',
            embedding_dim: 16,
            num_filters: $.num_filters,
            ngram_filter_sizes: [3],
          },
        },
      },
    },
    encoder+: { input_size: $.word_size + $.num_filters },
  },
}
