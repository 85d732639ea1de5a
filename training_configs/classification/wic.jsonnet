// Whether a word has the same sense in two sentences, by the cosine of its two vectors: what is learned
// are the layers' weights, and a threshold.
//
// Data: Word in Context's files as published, with the labels in `.gold.txt` beside `.data.txt`;
// fixtures/data/word_in_context unless `data` says otherwise. With `comparison` 'features' a network
// compares the vectors.
//
//   allennlp train training_configs/classification/wic.jsonnet -s output/wic --include-package elmo_components
//
// Measured: Word in Context's files: accuracy 0.553 on development, 0.531 on test, AUC 0.59 and 0.57, in
// a minute on 1 core; what the second layer adds to the first, alone, gives 0.565 on test, and 0.577
// whitened (benchmarks/probes.py). The fixtures are too few for a threshold.
local elmo = import '../elmo.libsonnet';

{
  data:: {
    train: elmo.fixtures + '/data/word_in_context/train.data.txt',
    development: elmo.fixtures + '/data/word_in_context/dev.data.txt',
    test: elmo.fixtures + '/data/word_in_context/test.data.txt',
  },
  architecture:: elmo.architectures.english,
  pretrained_file:: 'english',
  comparison:: 'cosine',

  dataset_reader: {
    type: 'elmo_word_in_context',
    token_indexers: elmo.indexers($.architecture),
  },
  train_data_path: $.data.train,
  validation_data_path: $.data.development,
  test_data_path: $.data.test,
  evaluate_on_test: true,
  model: {
    type: 'elmo_word_in_context',
    text_field_embedder: elmo.embedder($.architecture, $.pretrained_file) {
      // a cosine of vectors with holes is another one
      token_embedders+: { elmo+: { dropout: if $.comparison == 'cosine' then 0.0 else 0.3 } },
    },
    comparison: if $.comparison == 'cosine' then { type: 'cosine' } else {
      type: $.comparison,
      feedforward: {
        input_dim: 4 * elmo.output_size($.architecture),
        num_layers: 1,
        hidden_dims: 100,
        activations: 'relu',
        dropout: 0.3,
      },
    },
  },
  data_loader: elmo.data_loader(16) {
    batch_sampler+: { sorting_keys: ['first', 'second'] },
  },
  trainer: elmo.trainer('+accuracy', 10, 3) {
    // so few parameters bear larger steps
    optimizer+: { lr: if $.comparison == 'cosine' then 0.01 else 0.001 },
  },
}
