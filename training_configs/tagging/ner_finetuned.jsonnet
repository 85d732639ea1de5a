// The tagger of ner.jsonnet whose biLM is trained too: top layer first, lower layers with smaller steps.
// docs/finetuning.md has other ways.
//
// Data: as in ner.jsonnet.
//
//   allennlp train training_configs/tagging/ner_finetuned.jsonnet -s output/ner_finetuned --include-package elmo_components
//
// Measured: WNUT-17, batches of 16, one seed: span F1 0.486 on development, 0.323 on test; frozen, as in
// ner.jsonnet, with 12 epochs, 0.504 and 0.356. Fixtures: 0.911 and 0.830; frozen 0.901 and 0.817.
local elmo = import '../elmo.libsonnet';

(import 'ner.jsonnet') {
  model+: {
    text_field_embedder+: { token_embedders+: { elmo+: { requires_grad: true } } },
  },
  trainer+: elmo.fine_tuning { num_epochs: 10 },
}
