// Semantic roles with ELMo and alternating LSTMs (He et al. 2017), the paper's model for OntoNotes.
//
// Data: folders of CoNLL-2012's `*gold_conll` files; fixtures/data/events unless `data` says
// otherwise. It needs allennlp-models, and Perl for the F1.
//
//   allennlp train training_configs/srl/conll2012.jsonnet -s output/srl --include-package elmo_components
//
// `allennlp predict` finds the verbs with spaCy's model en_core_web_sm, which must be installed.
//
// Measured: F1 1.0 on the development and test sentences of the fixtures, which are easy, in 32 seconds
// on 1 core of a busy machine.
local elmo = import '../elmo.libsonnet';

{
  data:: {
    train: elmo.fixtures + '/data/events/train',
    development: elmo.fixtures + '/data/events/dev',
    test: elmo.fixtures + '/data/events/test',
  },
  architecture:: elmo.architectures.english,
  pretrained_file:: 'english',
  // 300 and 8 in the paper
  hidden_size:: 100,
  num_layers:: 4,
  // the size of the embedding that marks the verb
  verb_size:: 100,

  dataset_reader: { type: 'srl', token_indexers: elmo.indexers($.architecture) },
  train_data_path: $.data.train,
  validation_data_path: $.data.development,
  test_data_path: $.data.test,
  evaluate_on_test: true,
  model: {
    type: 'srl',
    text_field_embedder: elmo.embedder($.architecture, $.pretrained_file),
    encoder: {
      type: 'alternating_lstm',
      input_size: elmo.output_size($.architecture) + $.verb_size,
      hidden_size: $.hidden_size,
      num_layers: $.num_layers,
      recurrent_dropout_probability: 0.1,
      use_input_projection_bias: false,
    },
    binary_feature_dim: $.verb_size,
    initializer: { regexes: [['tag_projection_layer.*weight', { type: 'orthogonal' }]] },
  },
  data_loader: { batch_sampler: { type: 'bucket', batch_size: 16 } },
  trainer: elmo.trainer('+f1-measure-overall', 15, 5),
}
