// The tagger of ner.jsonnet with ELMo at two places, the input and the output of its encoder, each with
// a mix of its own (Peters et al. 2018, section 3.3).
//
// Data: as in ner.jsonnet.
//
//   allennlp train training_configs/tagging/ner_input_output.jsonnet -s output/ner_input_output --include-package elmo_components
//
// Measured: WNUT-17, batches of 16, 12 epochs, one seed: span F1 0.485 on development, 0.350 on test; at
// the input alone, as in ner.jsonnet, 0.504 and 0.356. Fixtures: 0.938 and 0.841; at the input alone
// 0.901 and 0.817.
local elmo = import '../elmo.libsonnet';

(import 'ner.jsonnet') {
  model+: {
    local tagger = super.encoder,

    // so that ELMo is last, with whatever other embedders
    text_field_embedder+: {
      type: 'elmo_for_two_places',
      token_embedders+: { elmo+: { type: 'elmo_for_two_places' } },
    },
    encoder: {
      type: 'around_encoder',
      input_size: 2 * elmo.output_size($.architecture),
      encoder: tagger,
    },
  },
}
