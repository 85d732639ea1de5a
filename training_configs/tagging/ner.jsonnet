// Named entities with ELMo and a CRF.
//
// Data: two columns, token and IOB2 tag, separated by a tab; fixtures/data/ner unless `data` says
// otherwise. WNUT-17's files are read as published.
//
//   allennlp train training_configs/tagging/ner.jsonnet -s output/ner --include-package elmo_components
//
// Measured: span F1 0.901 on the development and 0.817 on the test sentences of the fixtures, none of
// whose names is in training, in a minute on 1 core. WNUT-17, its files as published: test F1 0.341,
// 0.353 and 0.345 with three seeds; with batches of 16, a learning rate of 0.001 and 15 epochs 0.350,
// 0.335 and 0.340.
local elmo = import '../elmo.libsonnet';

{
  data:: {
    train: elmo.fixtures + '/data/ner/train.conll',
    development: elmo.fixtures + '/data/ner/dev.conll',
    test: elmo.fixtures + '/data/ner/test.conll',
  },
  architecture:: elmo.architectures.english,
  pretrained_file:: 'english',

  dataset_reader: {
    type: 'elmo_columns',
    token_indexers: elmo.indexers($.architecture),
    separator: '\t',
    tag_separator: ',',
    label_encoding: $.model.label_encoding,
  },
  train_data_path: $.data.train,
  validation_data_path: $.data.development,
  test_data_path: $.data.test,
  evaluate_on_test: true,
  model: {
    type: 'crf_tagger',
    label_encoding: 'BIO',
    text_field_embedder: elmo.embedder($.architecture, $.pretrained_file),
    encoder: {
      type: 'lstm',
      input_size: elmo.output_size($.architecture),
      hidden_size: 100,
      bidirectional: true,
    },
    dropout: 0.3,
  },
  data_loader: elmo.data_loader(8),
  trainer: elmo.trainer('+f1-measure-overall', 30, 10),
}
