// Dutch to English, or English to Dutch, with ELMo, learned word vectors and attention.
//
// No model that comes with the project is of Dutch, so what reads Dutch, by default, is a small ELMo
// that is trained along with the rest: give `architecture` and `pretrained_file` for one of Dutch.
// In the other direction, `direction:: 'en-nl'`, the English weights are frozen in the encoder.
//
// Data: a pair a line, parted by a tab, English first; fixtures/data/parallel unless `data` says
// otherwise. Tatoeba's nld.txt as Anki has it is one file, and divided when it is read, by its English
// side: `data:: { train: 'nld.txt#train', development: 'nld.txt#dev', test: 'nld.txt#test' }`.
//
//   allennlp train training_configs/translation/tatoeba.jsonnet -s output/tatoeba --include-package elmo_components
//
// Measured: with the first English model (see its card), Tatoeba's file of 52,652 pairs, from English
// to Dutch, with `trainer+: { num_epochs: 4 }`: BLEU 34.4 on development, 34.6 on test, still rising,
// in 15 minutes on 1 core.
local seq2seq = import 'seq2seq.libsonnet';
local elmo = import '../elmo.libsonnet';

seq2seq {
  data:: {
    train: elmo.fixtures + '/data/parallel/train.tsv',
    development: elmo.fixtures + '/data/parallel/dev.tsv',
    test: elmo.fixtures + '/data/parallel/test.tsv',
  },
  direction:: 'nl-en',
  local from_dutch = $.direction == 'nl-en',
  languages:: if from_dutch then { source: 'nl', target: 'en' } else { source: 'en', target: 'nl' },
  columns:: if from_dutch then { source: 1, target: 0 } else { source: 0, target: 1 },
  architecture:: if from_dutch then elmo.architectures.tiny else elmo.architectures.english,
  pretrained_file:: if from_dutch then null else 'english',

  dataset_reader+: { split_column: 0 },
}
