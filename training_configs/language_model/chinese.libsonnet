// The pre-training of a Chinese biLM on a CPU, a character a token, with a learned alphabet.
//
// Data: `data` must be given. Put a space after each character of dev.txt and test.txt:
// `sed 's/./& /g'`. `elmo vocabulary` does so with the text to train on, and writes 32 shards; its
// vocabulary has the 8,000 most frequent characters:
//
//   elmo vocabulary TEXT... --tokenizer character --size 8000 --alphabet 6000 \
//     --output output/words/vocabulary --tokenized output/words/text --shards 32
//   allennlp train mine.jsonnet -s output/chinese --include-package elmo_components
//
// where mine.jsonnet is
//
//   (import 'training_configs/language_model/chinese.libsonnet') {
//     data:: {
//       train: 'output/words/text',
//       development: 'dev.txt',
//       test: 'test.txt',
//       vocabulary: 'output/words/vocabulary',
//     },
//     alphabet:: importstr 'output/words/vocabulary/alphabet.txt',
//   }
local elmo = import '../elmo.libsonnet';

(import 'bilm.jsonnet') {
  data:: error 'data must have train, development, test and vocabulary',
  alphabet:: error 'alphabet must be the importstr of the alphabet.txt in the vocabulary',
  architecture:: elmo.with_alphabet(import '../chinese_architecture.libsonnet', $.alphabet),
  batch_tokens:: 4096,
  // a shard each: ten of the 32
  num_epochs:: 10,
  steps_per_epoch:: 240,
  warmup_steps:: 200,

  local reader = { token_indexers: elmo.indexers($.architecture) },
  dataset_reader+: reader { shards_per_epoch: 1, max_tokens: 200 },
  validation_dataset_reader+: reader,
  model+: {
    softmax: { type: 'sampled', num_samples: 2048, sparse: true },
    // less than one pass: there is nothing to overfit
    dropout: 0.0,
    precision: 'bfloat16',
  },
}
