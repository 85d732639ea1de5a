// The tagger of ner.jsonnet with ELMo at two places, the input and the output of its encoder, each with
// a mix of its own (Peters et al. 2018, section 3.3).
//
// Data: as in ner.jsonnet.
//
//   allennlp train training_configs/tagging/ner_input_output.jsonnet -s output/ner_input_output --include-package elmo_components
//
// Measured: not yet; WNUT-17 by the lead.
local elmo = import '../elmo.libsonnet';

(import 'ner.jsonnet') {
  model+: {
    local tagger = super.encoder,

    text_field_embedder+: { token_embedders+: { elmo+: { type: 'elmo_for_two_places' } } },
    encoder: {
      type: 'around_encoder',
      input_size: 2 * elmo.output_size($.architecture),
      encoder: tagger,
    },
  },
}
