// The tagger of ner.jsonnet with ELMo at two places, the input and the output of its encoder, each with
// a mix of its own (Peters et al. 2018, section 3.3).
//
// Data: as in ner.jsonnet.
//
//   allennlp train training_configs/tagging/ner_input_output.jsonnet -s output/ner_input_output --include-package elmo_components
//
// Measured: with the second English model (see its card), WNUT-17, batches of 16, 12 epochs, one seed:
// span F1 0.464 on development, 0.334 on test; at the input alone, as in ner.jsonnet, 0.487 and 0.346.
// Fixtures: 0.915 and 0.807; at the input alone 0.914 and 0.820.
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
