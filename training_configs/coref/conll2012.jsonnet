// Coreference with ELMo, span ranking as Lee et al. 2017, the paper's model for OntoNotes.
//
// Data: CoNLL-2012's files; fixtures/data/events unless `data` says otherwise. It needs
// allennlp-models.
//
//   allennlp train training_configs/coref/conll2012.jsonnet -s output/coref --include-package elmo_components
//
// `allennlp predict` splits a document with spaCy's model en_core_web_sm, which must be installed.
//
// Measured: F1 1.0 on the development and test stories of the fixtures, which are easy, in 40 seconds on
// 1 core of a busy machine. With the paper's `spans_per_word`, 0.4, it was 0.83 with three random seeds
// and 0.45 with another (with the second English model, see its card).
local elmo = import '../elmo.libsonnet';

{
  data:: {
    train: elmo.fixtures + '/data/events/train/events.gold_conll',
    development: elmo.fixtures + '/data/events/dev/events.gold_conll',
    test: elmo.fixtures + '/data/events/test/events.gold_conll',
  },
  architecture:: elmo.architectures.english,
  pretrained_file:: 'english',
  // 200 in the paper
  hidden_size:: 100,
  feature_size:: 20,
  // 10 in the paper
  max_span_width:: 5,
  // 0.4 in the paper, whose documents are long; in a short story that loses entities
  spans_per_word:: 1.0,

  // a span: its ends, its width, and the mean of its words
  local span_size = 4 * $.hidden_size + $.feature_size + elmo.output_size($.architecture),
  local feedforward(input_dim) = {
    input_dim: input_dim,
    num_layers: 2,
    hidden_dims: 150,
    activations: 'relu',
    dropout: 0.2,
  },
  dataset_reader: {
    type: 'coref',
    token_indexers: elmo.indexers($.architecture),
    max_span_width: $.max_span_width,
  },
  train_data_path: $.data.train,
  validation_data_path: $.data.development,
  test_data_path: $.data.test,
  evaluate_on_test: true,
  model: {
    type: 'coref',
    text_field_embedder: elmo.embedder($.architecture, $.pretrained_file),
    context_layer: {
      type: 'lstm',
      input_size: elmo.output_size($.architecture),
      hidden_size: $.hidden_size,
      bidirectional: true,
    },
    mention_feedforward: feedforward(span_size),
    antecedent_feedforward: feedforward(3 * span_size + $.feature_size),
    feature_size: $.feature_size,
    max_span_width: $.max_span_width,
    spans_per_word: $.spans_per_word,
    max_antecedents: 100,
  },
  data_loader: { batch_sampler: { type: 'bucket', batch_size: 1, sorting_keys: ['text'] } },
  trainer: elmo.trainer('+coref_f1', 15, 5),
}
