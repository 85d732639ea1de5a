// The LSTMs as the contextualizer of allennlp-models' bidirectional language model, over its own
// character encoder. The archive is what its embedder, `bidirectional_lm_token_embedder`, takes for
// `archive_file`, beside the indexer `elmo_character_ids`.
//
// Data: text, a sentence a line, tokens parted by spaces; fixtures/data/lm unless `data` says
// otherwise.
//
//   allennlp train training_configs/language_model/contextualizer.jsonnet -s output/contextualizer --include-package elmo_components
//
// Measured: perplexity 6.80 on the development and 6.79 on the test sentences of the fixtures, of
// both directions together, in 17 seconds on 1 core.
local elmo = import '../elmo.libsonnet';

{
  data:: {
    train: elmo.fixtures + '/data/lm/train.txt',
    development: elmo.fixtures + '/data/lm/dev.txt',
    test: elmo.fixtures + '/data/lm/test.txt',
  },
  architecture:: elmo.architectures.tiny,

  dataset_reader: {
    type: 'simple_language_modeling',
    tokenizer: { type: 'just_spaces' },
    token_indexers: {
      // the words to predict
      tokens: { type: 'single_id' },
      token_characters: { type: 'elmo_character_ids' },
    },
    start_tokens: ['<S>'],
    end_tokens: ['</S>'],
  },
  train_data_path: $.data.train,
  validation_data_path: $.data.development,
  test_data_path: $.data.test,
  evaluate_on_test: true,
  model: {
    type: 'bidirectional-language-model',
    text_field_embedder: {
      token_embedders: {
        tokens: { type: 'empty' },
        token_characters: {
          type: 'character_encoding',
          embedding: {
            num_embeddings: $.architecture.char_cnn.n_characters,
            embedding_dim: $.architecture.char_cnn.embedding.dim,
          },
          encoder: {
            type: 'cnn-highway',
            embedding_dim: $.architecture.char_cnn.embedding.dim,
            filters: $.architecture.char_cnn.filters,
            num_highway: $.architecture.char_cnn.n_highway,
            projection_dim: $.architecture.lstm.projection_dim,
            activation: $.architecture.char_cnn.activation,
          },
        },
      },
    },
    contextualizer: {
      type: 'elmo_lstm',
      input_size: $.architecture.lstm.projection_dim,
      hidden_size: $.architecture.lstm.projection_dim,
      cell_size: $.architecture.lstm.dim,
      num_layers: $.architecture.lstm.n_layers,
      cell_clip: $.architecture.lstm.cell_clip,
      projection_clip: $.architecture.lstm.proj_clip,
      skip_connections: $.architecture.lstm.use_skip_connections,
    },
    dropout: 0.1,
  },
  data_loader: {
    batch_sampler: { type: 'bucket', batch_size: 16, sorting_keys: ['source'] },
  },
  trainer: elmo.trainer('-perplexity', 20, 3),
}
