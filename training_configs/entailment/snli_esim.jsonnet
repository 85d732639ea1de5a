// Textual entailment with ELMo and ESIM (Chen et al. 2017), the paper's model for SNLI.
//
// Data: SNLI's JSON lines; fixtures/data/events unless `data` says otherwise. It needs
// allennlp-models.
//
//   allennlp train training_configs/entailment/snli_esim.jsonnet -s output/snli --include-package elmo_components
//   echo '{"premise": "Ada sold a kettle .", "hypothesis": "Nobody sold a kettle ."}' | allennlp predict output/snli/model.tar.gz - --include-package elmo_components
//
// Measured: accuracy 1.0 on the development and test pairs of the fixtures, which are easy, in 33
// seconds on 1 core of a busy machine.
local elmo = import '../elmo.libsonnet';

{
  data:: {
    train: elmo.fixtures + '/data/events/train/snli.jsonl',
    development: elmo.fixtures + '/data/events/dev/snli.jsonl',
    test: elmo.fixtures + '/data/events/test/snli.jsonl',
  },
  architecture:: elmo.architectures.english,
  pretrained_file:: 'english',
  // 300 in the paper
  hidden_size:: 100,

  local lstm(input_size) = {
    type: 'lstm',
    input_size: input_size,
    hidden_size: $.hidden_size,
    bidirectional: true,
  },
  dataset_reader: {
    type: 'snli',
    tokenizer: { type: 'spacy_blank' },
    token_indexers: elmo.indexers($.architecture),
  },
  train_data_path: $.data.train,
  validation_data_path: $.data.development,
  test_data_path: $.data.test,
  evaluate_on_test: true,
  model: {
    type: 'esim',
    dropout: 0.5,
    text_field_embedder: elmo.embedder($.architecture, $.pretrained_file),
    encoder: lstm(elmo.output_size($.architecture)),
    matrix_attention: { type: 'dot_product' },
    projection_feedforward: {
      input_dim: 8 * $.hidden_size,
      hidden_dims: $.hidden_size,
      num_layers: 1,
      activations: 'relu',
    },
    inference_encoder: lstm($.hidden_size),
    output_feedforward: {
      input_dim: 8 * $.hidden_size,
      hidden_dims: $.hidden_size,
      num_layers: 1,
      activations: 'relu',
      dropout: 0.5,
    },
    output_logit: {
      input_dim: $.hidden_size,
      // entailment, neutral, contradiction
      hidden_dims: 3,
      num_layers: 1,
      activations: 'linear',
    },
  },
  data_loader: { batch_sampler: { type: 'bucket', batch_size: 16 } },
  trainer: elmo.trainer('+accuracy', 15, 5),
}
