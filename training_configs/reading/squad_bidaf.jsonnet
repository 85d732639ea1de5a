// Reading comprehension with ELMo and BiDAF (Seo et al. 2017), the paper's task SQuAD.
//
// Data: SQuAD 1.1's JSON; fixtures/data/events unless `data` says otherwise. It needs
// allennlp-models.
//
//   allennlp train training_configs/reading/squad_bidaf.jsonnet -s output/squad --include-package elmo_components
//   echo '{"passage": "Ada sold a kettle in Brink.", "question": "Who sold a kettle?"}' | allennlp predict output/squad/model.tar.gz - --include-package elmo_components
//
// Measured: exact match 1.0 on the development and test questions of the fixtures, which are easy, in 43
// seconds on 1 core of a busy machine.
local elmo = import '../elmo.libsonnet';

{
  data:: {
    train: elmo.fixtures + '/data/events/train/squad.json',
    development: elmo.fixtures + '/data/events/dev/squad.json',
    test: elmo.fixtures + '/data/events/test/squad.json',
  },
  architecture:: elmo.architectures.english,
  pretrained_file:: 'english',
  hidden_size:: 100,

  local lstm(input_size, num_layers=1) = {
    type: 'lstm',
    input_size: input_size,
    hidden_size: $.hidden_size,
    num_layers: num_layers,
    bidirectional: true,
    dropout: if num_layers > 1 then 0.2 else 0.0,
  },
  dataset_reader: {
    type: 'squad1',
    tokenizer: { type: 'spacy_blank' },
    token_indexers: elmo.indexers($.architecture),
  },
  train_data_path: $.data.train,
  validation_data_path: $.data.development,
  test_data_path: $.data.test,
  evaluate_on_test: true,
  model: {
    type: 'bidaf',
    text_field_embedder: elmo.embedder($.architecture, $.pretrained_file),
    num_highway_layers: 2,
    phrase_layer: lstm(elmo.output_size($.architecture)),
    matrix_attention: {
      type: 'linear',
      combination: 'x,y,x*y',
      tensor_1_dim: 2 * $.hidden_size,
      tensor_2_dim: 2 * $.hidden_size,
    },
    modeling_layer: lstm(8 * $.hidden_size, 2),
    span_end_encoder: lstm(14 * $.hidden_size),
    dropout: 0.2,
  },
  data_loader: { batch_sampler: { type: 'bucket', batch_size: 16 } },
  trainer: elmo.trainer('+em', 20, 5),
}
