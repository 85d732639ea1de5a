// The pre-training of a German biLM on a CPU. It starts from the English one, whose character encoder
// knows most of the letters: after half a million words its loss was 0.46 nats a word lower than that
// of random weights.
//
// Data: `data` must be given. Train, of the tokenised text, dealt to 20 shards; and the vocabulary, of
// 150,000 words:
//
//   elmo vocabulary TEXT... --tokenizer '{"type": "spacy_blank", "language": "de"}' --size 150000 \
//     --output output/words/vocabulary --tokenized output/words/text --shards 20
//   allennlp train mine.jsonnet -s output/german --include-package elmo_components
//
// where mine.jsonnet is
//
//   (import 'training_configs/language_model/german.libsonnet') {
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
  architecture:: elmo.architectures.german,
  // the included model started from the English model after the first part of its training
  pretrained_file:: 'english',
  batch_tokens:: 3072,
  // a shard each: nine of the 20
  num_epochs:: 9,
  steps_per_epoch:: 370,
  warmup_steps:: 150,

  dataset_reader+: { shards_per_epoch: 1, max_tokens: 80 },
  model+: {
    softmax: { type: 'sampled', num_samples: 2048, sparse: true },
    // less than one pass: there is nothing to overfit
    dropout: 0.0,
    precision: 'bfloat16',
  },
  // the output weights are the only ones that are new
  trainer+: { optimizer+: { parameter_groups: [[['softmax'], { lr: 0.01 }]] } },
}
