// German named entities with ELMo and a CRF.
//
// Data: columns with tabs between, the token first and the tag last, as in the Europarl corpus of
// Faruqui and Padó 2010; fixtures/data/ner_de unless `data` says otherwise. Tags are IOB1: B- begins
// an entity only where one of its type ends.
//
// The included German model has read debates of a parliament. One of your own, which
// training_configs/language_model makes of text such as yours, takes its place by `architecture` and
// `pretrained_file`.
//
//   allennlp train training_configs/tagging/ner_de.jsonnet -s output/ner_de --include-package elmo_components
//
// Measured: the Europarl corpus as SuperGLEBer divides it, with `num_epochs` 12: span F1 0.845, 0.855
// and 0.832 on test with three seeds, in 4 minutes on 1 core. Fixtures: 1.00 and 1.00,
// their names being those of training, in 18 seconds.
local elmo = import '../elmo.libsonnet';

(import 'ner.jsonnet') {
  data:: {
    train: elmo.fixtures + '/data/ner_de/train.tsv',
    development: elmo.fixtures + '/data/ner_de/dev.tsv',
    test: elmo.fixtures + '/data/ner_de/test.tsv',
  },
  architecture:: elmo.architectures.german,
  pretrained_file:: 'german',

  dataset_reader: {
    type: 'elmo_columns',
    token_indexers: elmo.indexers($.architecture),
    separator: '\t',
    tokenizer: { type: 'spacy_blank', language: 'de' },
    label_encoding: $.model.label_encoding,
  },
  model+: { label_encoding: 'IOB1' },
}
