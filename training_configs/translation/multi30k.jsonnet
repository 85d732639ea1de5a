// English to German with ELMo, learned word vectors and attention.
//
// Data: a pair a line, parted by a tab; fixtures/data/parallel, whose second language is Dutch, unless
// `data` says otherwise. Multi30k's parallel files are read as published, with
// `suffixes:: ['.en', '.de']` and `data:: { train: 'multi30k/train', ... }`, their names without these.
//
//   allennlp train training_configs/translation/multi30k.jsonnet -s output/multi30k --include-package elmo_components
//   echo 'A dog is running .' | allennlp predict output/multi30k/model.tar.gz - --predictor elmo_translator --include-package elmo_components
//
// BLEU is sacreBLEU's, of cased texts as they stand in the files, with `tok:13a`.
//
// Measured: Multi30k's test set of 2016, of a tenth of its pairs: BLEU 16.7, 15.6 and 16.0 with three
// seeds, and without ELMo 8.8 (benchmarks/translation.jsonnet). Of all pairs, with the first English
// model (see its card) and `trainer+: { num_epochs: 8 }`: 31.2 (development 31.5), in 34 minutes on
// 1 core, and without ELMo 31.2 (30.4). The fixtures are few for these batches and this vocabulary: with
// `-o '{"data_loader.batch_sampler.batch_size": 8, "trainer.num_epochs": 40, "trainer.patience": 15}'` and
// `min_count:: 1` 54.4 on their development pairs and 45.6 on their test pairs, of which there are 20 each.
local seq2seq = import 'seq2seq.libsonnet';
local elmo = import '../elmo.libsonnet';

seq2seq {
  data:: {
    train: elmo.fixtures + '/data/parallel/train.tsv',
    development: elmo.fixtures + '/data/parallel/dev.tsv',
    test: elmo.fixtures + '/data/parallel/test.tsv',
  },
}
