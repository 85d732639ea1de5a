// A classifier of your own texts with ELMo and learned word vectors, from TSV or CSV files.
//
// Data: a text and its label a line, in UTF-8; fixtures/data/remarks unless `data` says otherwise. For
// CSV, `separator` is ','. Give your own files in a file of three lines,
//
//   (import 'training_configs/classification/tsv.jsonnet') {
//     data:: { train: 'mine/train.tsv', development: 'mine/dev.tsv', test: 'mine/test.tsv' },
//   }
//
// with the fields below that differ, or on the command line, with
// -o '{"train_data_path": "mine/train.tsv", "validation_data_path": "mine/dev.tsv", "test_data_path": "mine/test.tsv"}'.
//
//   allennlp train training_configs/classification/tsv.jsonnet -s output/tsv --include-package elmo_components
//
// Measured: accuracy 0.76 on the development and 0.82 on the test texts of the fixtures, of which there
// are 45 each, in 35 seconds on 1 core.
local elmo = import '../elmo.libsonnet';

(import 'sst.jsonnet') {
  local indexers = super.dataset_reader.token_indexers,
  data:: {
    train: elmo.fixtures + '/data/remarks/train.tsv',
    development: elmo.fixtures + '/data/remarks/dev.tsv',
    test: elmo.fixtures + '/data/remarks/test.tsv',
  },
  // columns are counted from 0
  text_column:: 0,
  label_column:: 1,
  separator:: '\t',
  // lines at the beginning that are skipped
  header_lines:: 1,
  encoding:: 'utf-8',
  // whose rules split texts into tokens, such as 'de'; null for texts whose tokens spaces separate
  language:: 'en',

  dataset_reader: {
    type: 'elmo_labelled_lines',
    token_indexers: indexers,
    [if $.language != null then 'tokenizer']: { type: 'spacy_blank', language: $.language },
    text_column: $.text_column,
    label_column: $.label_column,
    separator: $.separator,
    header_lines: $.header_lines,
    encoding: $.encoding,
  },
}
