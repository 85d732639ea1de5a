// The second part of the pre-training of the English biLM that comes with the package: it goes on from
// the model of english.libsonnet, and learns from MiniLM too: from its vectors of words in their
// sentences, and of the 120,000 most frequent words alone.
//
// Data: as english.libsonnet; and `minilm`, MiniLM's folder (see distil_transformer.jsonnet), `start`,
// the biLM to start from, and `word_vectors`, written by
//
//   python benchmarks/transformer_words.py MINILM output/words/vocabulary/vocab.txt --output output/minilm.txt.gz
//
//   allennlp train mine.jsonnet -s output/english_distilled --include-package elmo_components
//
// where mine.jsonnet is
//
//   (import 'training_configs/language_model/english_distilled.libsonnet') {
//     data:: {
//       train: 'output/words/text',
//       development: 'dev.txt',
//       test: 'test.txt',
//       vocabulary: 'output/words/vocabulary',
//     },
//     minilm:: 'MINILM',
//     start:: 'output/english/model.tar.gz',
//     word_vectors:: 'output/minilm.txt.gz',
//   }
local elmo = import '../elmo.libsonnet';

(import 'english.libsonnet') {
  minilm:: error "minilm must be the transformer's folder or name",
  start:: error 'start must be the biLM to start from',
  word_vectors:: error "word_vectors must be the file of the transformer's vectors of words",

  pretrained_file:: $.start,
  // a shard each, of the 60, in another order than in the first part
  num_epochs:: 13,
  steps_per_epoch:: 285,
  warmup_steps:: 200,

  // with a weight of 5, and 1.25 of words alone, a pilot had the same scores of tasks and a better
  // perplexity: see docs/results
  local learning = elmo.transformer_teacher($.minilm, 384, 20.0),
  dataset_reader+: { shards_per_epoch: 1, max_tokens: 80, shuffle_seed: 7 } + learning.dataset_reader,
  model+: learning.model {
    word_teacher: {
      pretrained_file: $.word_vectors,
      size: 384,
      weight: 5.0,
      words_per_batch: 512,
    },
  },
  trainer+: {
    // the output weights are new
    optimizer+: { lr: 0.0015, parameter_groups: [[['softmax'], { lr: 0.01 }]] },
  },
}
