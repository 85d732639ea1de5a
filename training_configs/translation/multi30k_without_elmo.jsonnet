// The model of multi30k.jsonnet with nothing pre-trained: learned word vectors and a character CNN. It
// is what ELMo's gain is measured against.
//
// Data: as in multi30k.jsonnet.
//
//   allennlp train training_configs/translation/multi30k_without_elmo.jsonnet -s output/multi30k_without_elmo --include-package elmo_components
//
// Measured: Multi30k's test set of 2016, with `trainer+: { num_epochs: 8 }`: BLEU 31.2 (development 30.4), in
// 35 minutes on 1 core; of a tenth of its pairs 8.8. multi30k.jsonnet has ELMo's, and says what the fixtures want.
(import 'multi30k.jsonnet') {
  local embedders = super.model.source_text_embedder.token_embedders,
  num_filters:: 128,

  dataset_reader+: {
    source_token_indexers: {
      tokens: { type: 'single_id', namespace: 'source_tokens', lowercase_tokens: true },
      token_characters: { type: 'characters', min_padding_length: 3 },
    },
  },
  model+: {
    source_text_embedder: {
      token_embedders: {
        tokens: embedders.tokens,
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
