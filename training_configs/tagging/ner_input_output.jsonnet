// The tagger of ner.jsonnet with ELMo at two places, the input and the output of its encoder, each with
// a mix of its own (Peters et al. 2018, section 3.3).
//
// Data: as in ner.jsonnet.
//
//   allennlp train training_configs/tagging/ner_input_output.jsonnet -s output/ner_input_output --include-package elmo_components
//
// Measured: with the first English model (see its card), WNUT-17, batches of 16, one seed: span F1
// 0.377 on development, 0.305 on test; at the input alone, as in ner.jsonnet, 0.386 and 0.299.
// Fixtures: 0.895 and 0.767; at the input alone 0.910 and 0.802.
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
