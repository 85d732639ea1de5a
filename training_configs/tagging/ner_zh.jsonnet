// Chinese named entities by characters, with ELMo and a CRF.
//
// Data: two columns with a tab between, a character with its place in its word, such as `医0` and
// `生1`, and its IOB2 tag, as in the Weibo corpus of Peng and Dredze 2015; fixtures/data/ner_zh unless
// `data` says otherwise. The places are taken off.
//
// The included Chinese model reads simplified characters. One of your own, which
// training_configs/language_model makes of text such as yours, takes its place by `architecture` and
// `pretrained_file`.
//
//   allennlp train training_configs/tagging/ner_zh.jsonnet -s output/ner_zh --include-package elmo_components
//
// Measured: Weibo's files as published, with `num_epochs` 12: span F1 0.510, 0.519 and
// 0.543 on test with three seeds, in 4 minutes on 1 core. Fixtures: 1.00 and 1.00, their names being those
// of training, in 27 seconds.
local elmo = import '../elmo.libsonnet';

(import 'ner.jsonnet') {
  data:: {
    train: elmo.fixtures + '/data/ner_zh/train.conll',
    development: elmo.fixtures + '/data/ner_zh/dev.conll',
    test: elmo.fixtures + '/data/ner_zh/test.conll',
  },
  architecture:: import '../chinese_architecture.libsonnet',
  pretrained_file:: 'chinese',

  dataset_reader: {
    type: 'elmo_columns',
    token_indexers: elmo.indexers($.architecture),
    separator: '\t',
    // whatever follows the first character
    token_suffix: '(?<=.)\\d+',
    // raw text is split into characters, as the data is
    tokenizer: { type: 'spacy_blank', language: 'zh' },
    label_encoding: $.model.label_encoding,
  },
}
