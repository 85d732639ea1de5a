// The second and the third part of the pre-training of the English biLM that comes with the package:
// they go on from the model of english.libsonnet, and learn from MiniLM too: from its vectors of words
// in their sentences, and of the 120,000 most frequent words alone.
//
// Data: as english.libsonnet; and `minilm`, MiniLM's folder (see distil_transformer.jsonnet), `start`,
// the biLM to start from, and `word_vectors`, written by
//
//   python benchmarks/transformer_words.py MINILM output/words/vocabulary/vocab.txt --output output/minilm.txt.gz
//
//   elmo export output/english/model.tar.gz output/english.safetensors --without-softmax
//   allennlp train second.jsonnet -s output/second --include-package elmo_components
//   allennlp train third.jsonnet -s output/third --include-package elmo_components
//
// where second.jsonnet is
//
//   (import 'training_configs/language_model/english_distilled.libsonnet') {
//     data:: {
//       train: 'output/words/text',
//       development: 'dev.txt',
//       test: 'test.txt',
//       vocabulary: 'output/words/vocabulary',
//     },
//     minilm:: 'MINILM',
//     start:: 'output/english.safetensors',
//     word_vectors:: 'output/minilm.txt.gz',
//     teacher_weight:: 20.0,
//     num_epochs:: 13,
//     shuffle_seed:: 7,
//   }
//
// and third.jsonnet
//
//   (import 'second.jsonnet') {
//     start:: 'output/second/model.tar.gz',
//     teacher_weight:: 5.0,
//     num_epochs:: 12,
//     shuffle_seed:: 11,
//   }
local elmo = import '../elmo.libsonnet';

(import 'english.libsonnet') {
  minilm:: error "minilm must be the transformer's folder or name",
  start:: error 'start must be the biLM to start from',
  word_vectors:: error "word_vectors must be the file of the transformer's vectors of words",
  // A pilot had the same scores of tasks with 20, and a worse perplexity: see docs/results. That of
  // words alone is a quarter of it.
  teacher_weight:: 5.0,
  // the order of the shards
  shuffle_seed:: 7,

  pretrained_file:: $.start,
  // a shard each, of the 60
  num_epochs:: 12,
  steps_per_epoch:: 300,
  warmup_steps:: 200,

  local learning = elmo.transformer_teacher($.minilm, 384, $.teacher_weight),
  dataset_reader+: {
    shards_per_epoch: 1,
    max_tokens: 80,
    shuffle_seed: $.shuffle_seed,
  } + learning.dataset_reader,
  model+: learning.model {
    word_teacher: {
      pretrained_file: $.word_vectors,
      size: 384,
      weight: $.teacher_weight / 4,
      words_per_batch: 512,
    },
  },
  trainer+: {
    // the output weights learn faster: those of the second part are new
    optimizer+: { lr: 0.0015, parameter_groups: [[['softmax'], { lr: 0.01 }]] },
  },
}
