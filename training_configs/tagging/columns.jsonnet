// A tagger of your own texts with ELMo, from files of a token and its tag a line.
//
// Data: columns, a blank line between sentences; fixtures/data/ner unless `data` says otherwise. Tags
// of spans may be in BIO, IOB1, BIOUL or BMES. Give your own files in a file of three lines,
//
//   (import 'training_configs/tagging/columns.jsonnet') {
//     data:: { train: 'mine/train.conll', development: 'mine/dev.conll', test: 'mine/test.conll' },
//   }
//
// with the fields below that differ, or on the command line, with
// -o '{"train_data_path": "mine/train.conll", "validation_data_path": "mine/dev.conll", "test_data_path": "mine/test.conll"}'.
//
//   allennlp train training_configs/tagging/columns.jsonnet -s output/columns --include-package elmo_components
//
// Measured: as ner.jsonnet, whose data is the same.
local elmo = import '../elmo.libsonnet';

(import 'ner.jsonnet') {
  // columns are counted from 0, or with a negative number from the last
  token_column:: 0,
  tag_column:: -1,
  // what separates columns; null for spaces and tabs
  separator:: null,
  // how the tagger encodes spans, whatever the files do: 'BIO', 'BIOUL', 'BMES' or 'IOB1'; null for
  // tags that are not of spans, such as parts of speech
  label_encoding:: 'BIO',
  // a regular expression: lines whose beginning matches are skipped
  skip:: '-DOCSTART-',
  // of the files, such as 'latin-1'
  encoding:: 'utf-8',
  // whose rules split raw text into tokens, such as 'de'
  language:: 'en',

  dataset_reader: {
    type: 'elmo_columns',
    token_indexers: elmo.indexers($.architecture),
    token_column: $.token_column,
    tag_column: $.tag_column,
    separator: $.separator,
    skip: $.skip,
    convert_to_coding_scheme: $.label_encoding,
    encoding: $.encoding,
    tokenizer: { type: 'spacy_blank', language: $.language },
  },
  model+: { label_encoding: $.label_encoding },
  trainer+: {
    validation_metric: if $.label_encoding == null then '+accuracy' else '+f1-measure-overall',
  },
}
