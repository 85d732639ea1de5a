// A small biLM that also learns from a large one: a linear head on its layers predicts the mean of the
// large one's layers at each word, beside the next words. What comes out is an ordinary ELMo without
// the head.
//
// Data: as bilm.jsonnet; fixtures/data/lm unless `data` says otherwise. The teacher is the checkpoint
// `teacher_file`, a name or a file of any format, and `teacher_options` its options.json: the English
// model of the package unless told otherwise, or the published one with
//
//   teacher_file:: 'original',
//   teacher_options:: elmo.architectures.original,
//
//   allennlp train training_configs/language_model/distil_elmo.jsonnet -s output/distil --include-package elmo_components
//
// Measured: perplexity 5.50 on the development and 5.76 on the test sentences of the fixtures, against
// 5.56 and 6.04 of bilm.jsonnet with the same sampled words (its header has other ones); in 3 minutes
// on 1 core of a busy machine.
local elmo = import '../elmo.libsonnet';

(import 'bilm.jsonnet') {
  teacher_file:: 'english',
  teacher_options:: elmo.architectures.english,
  // of the teacher's loss, 1 - cosine, in the sum with the biLM's, in nats a word
  teacher_weight:: 10.0,

  local learning = elmo.elmo_teacher($.teacher_options, $.teacher_file, $.teacher_weight),
  dataset_reader+: learning.dataset_reader,
  model+: learning.model,
}
