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
// Measured: BLEU 33.9 on the 20 development pairs of the fixtures, the best of 39 epochs, with
// `-o '{"data_loader.batch_sampler.batch_size": 8, "trainer.num_epochs": 40, "trainer.patience": 15}'` and
// `min_count:: 1`; the batches and the vocabulary here are meant for tens of thousands of pairs. Of
// Multi30k 1,840 German tokens a second were trained on 1 core, with a vocabulary of 1,700 words: 3.3
// minutes an epoch.
local seq2seq = import 'seq2seq.libsonnet';
local elmo = import '../elmo.libsonnet';

seq2seq {
  data:: {
    train: elmo.fixtures + '/data/parallel/train.tsv',
    development: elmo.fixtures + '/data/parallel/dev.tsv',
    test: elmo.fixtures + '/data/parallel/test.tsv',
  },
}
