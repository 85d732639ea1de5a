// The pre-training of an English biLM on a CPU, with a large vocabulary and text in many shards.
//
// Data: `data` must be given. Train, of the tokenised text, dealt to 60 shards; and the vocabulary, of
// 180,000 words; an encyclopedia needs so many if no more than 3 % of its words are to be unknown:
//
//   elmo vocabulary TEXT... --tokenizer spacy_blank --size 180000 --output output/words/vocabulary \
//     --tokenized output/words/text --shards 60
//   allennlp train mine.jsonnet -s output/english --include-package elmo_components
//
// where mine.jsonnet is
//
//   (import 'training_configs/language_model/english.libsonnet') {
//     data:: {
//       train: 'output/words/text',
//       development: 'dev.txt',
//       test: 'test.txt',
//       vocabulary: 'output/words/vocabulary',
//     },
//   }
local elmo = import '../elmo.libsonnet';

(import 'bilm.jsonnet') {
  data:: error 'data must have train, development, test and vocabulary',
  architecture:: elmo.architectures.english,
  batch_tokens:: 4096,
  // two of the 60 shards each: a good third of the text, each sentence once
  num_epochs:: 11,
  steps_per_epoch:: 595,
  warmup_steps:: 300,

  dataset_reader+: { shards_per_epoch: 2, max_tokens: 100 },
  model+: {
    softmax: { type: 'sampled', num_samples: 4096, sparse: true },
    // less than one pass: there is nothing to overfit
    dropout: 0.0,
    precision: 'bfloat16',
  },
}
