// The tagger of ner.jsonnet whose biLM is trained too: top layer first, lower layers with smaller steps.
// docs/finetuning.md has other ways.
//
// Data: as in ner.jsonnet.
//
//   allennlp train training_configs/tagging/ner_finetuned.jsonnet -s output/ner_finetuned --include-package elmo_components
//
// Measured: with the first English model (see its card), WNUT-17, batches of 16, one seed: span F1
// 0.390 on development, 0.298 on test; frozen, as in ner.jsonnet, 0.386 and 0.299. Fixtures: 0.883 and
// 0.779; frozen 0.910 and 0.802.
local elmo = import '../elmo.libsonnet';

(import 'ner.jsonnet') {
  model+: {
    text_field_embedder+: { token_embedders+: { elmo+: { requires_grad: true } } },
  },
  trainer+: elmo.fine_tuning { num_epochs: 10 },
}
