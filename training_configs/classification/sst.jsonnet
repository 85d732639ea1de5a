// Sentiment in five classes with ELMo and learned word vectors.
//
// Data: trees as the Stanford Sentiment Treebank has them; fixtures/data/sentiment unless `data` says
// otherwise.
//
//   allennlp train training_configs/classification/sst.jsonnet -s output/sst --include-package elmo_components
//
// Measured: accuracy 0.64 on the development and 0.52 on the test sentences of the fixtures, of which
// there are 50 each, in 30 seconds on 1 core. The treebank itself: 0.419 and 0.441, in 4
// minutes.
local elmo = import '../elmo.libsonnet';

{
  data:: {
    train: elmo.fixtures + '/data/sentiment/train.txt',
    development: elmo.fixtures + '/data/sentiment/dev.txt',
    test: elmo.fixtures + '/data/sentiment/test.txt',
  },
  architecture:: elmo.architectures.english,
  pretrained_file:: 'english',
  // "5-class", "3-class" or "2-class"
  granularity:: '5-class',

  dataset_reader: {
    type: 'sst_tokens',
    // AllenNLP's classifier gives back the words' ids, so they are indexed too
    token_indexers: elmo.indexers($.architecture) {
      tokens: { type: 'single_id', lowercase_tokens: true },
    },
    granularity: $.granularity,
  },
  train_data_path: $.data.train,
  validation_data_path: $.data.development,
  test_data_path: $.data.test,
  evaluate_on_test: true,
  model: {
    type: 'basic_classifier',
    text_field_embedder: elmo.embedder($.architecture, $.pretrained_file) {
      token_embedders+: { tokens: { type: 'embedding', embedding_dim: $.word_size } },
    },
    seq2vec_encoder: {
      type: 'lstm',
      input_size: elmo.output_size($.architecture) + $.word_size,
      hidden_size: 100,
      bidirectional: true,
    },
    dropout: 0.5,
  },
  word_size:: 50,
  data_loader: elmo.data_loader(16),
  trainer: elmo.trainer('+accuracy', 20, 6),
}
