// The tagger of ner.jsonnet whose biLM is trained too: top layer first, lower layers with smaller steps.
// docs/finetuning.md has other ways.
//
// Data: as in ner.jsonnet.
//
//   allennlp train training_configs/tagging/ner_finetuned.jsonnet -s output/ner_finetuned --include-package elmo_components
//
// Measured: with the second English model (see its card), WNUT-17, batches of 16, one seed: span F1
// 0.453 on development, 0.328 on test; frozen, as in ner.jsonnet, with 12 epochs, 0.487 and 0.346.
// Fixtures: 0.896 and 0.776; frozen 0.914 and 0.820.
local elmo = import '../elmo.libsonnet';

(import 'ner.jsonnet') {
  model+: {
    text_field_embedder+: { token_embedders+: { elmo+: { requires_grad: true } } },
  },
  trainer+: elmo.fine_tuning { num_epochs: 10 },
}
