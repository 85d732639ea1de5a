// A tagger of your own texts, from files with a token a line and its tag in another column, with ELMo.
//
// Data: UTF-8, a blank line between sentences; fixtures/data/ner unless `data` says otherwise. Your
// own files go into a file of three lines,
//
//   (import 'training_configs/tagging/columns.jsonnet') {
//     data:: { train: 'mine/train.conll', development: 'mine/dev.conll', test: 'mine/test.conll' },
//   }
//
// beside the fields below that differ, or on the command line, with
// -o '{"train_data_path": "mine/train.conll", "validation_data_path": "mine/dev.conll", "test_data_path": "mine/test.conll"}'.
//
//   allennlp train training_configs/tagging/columns.jsonnet -s output/columns --include-package elmo_components
//
// Measured: the files being the same, as ner.jsonnet.
local elmo = import '../elmo.libsonnet';

(import 'ner.jsonnet') {
  // columns are counted from 0, or with a negative number from the last
  token_column:: 0,
  tag_column:: -1,
  // what stands between columns; null for white space
  separator:: null,
  // how tags encode spans: 'BIO', 'BIOUL', 'BMES' or 'IOB1'; null for tags that do not, such as parts
  // of speech
  label_encoding:: 'BIO',
  // a regular expression: lines that begin with a match are passed over, such as '-DOCSTART-'
  skip:: null,

  dataset_reader: {
    type: 'elmo_columns',
    token_indexers: elmo.indexers($.architecture),
    token_column: $.token_column,
    tag_column: $.tag_column,
    separator: $.separator,
    skip: $.skip,
    label_encoding: $.label_encoding,
  },
  model+: { label_encoding: $.label_encoding },
  trainer+: {
    validation_metric: if $.label_encoding == null then '+accuracy' else '+f1-measure-overall',
  },
}
