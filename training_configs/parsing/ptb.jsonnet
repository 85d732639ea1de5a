// Constituency parsing with ELMo, a span-based parser (Stern et al. 2017; Joshi et al. 2018).
//
// Data: the Penn Treebank's bracketed trees; fixtures/data/events unless `data` says otherwise. It
// needs allennlp-models. NLTK 3.10 reads trees below the folder in NLTK_DATA only.
//
//   NLTK_DATA=$PWD allennlp train training_configs/parsing/ptb.jsonnet -s output/parser --include-package elmo_components
//
// `allennlp predict` finds parts of speech with spaCy's model en_core_web_sm, which must be
// installed.
//
// Measured: loss 0.03 on the development and test trees of the fixtures, which are easy, in 35 seconds
// on 1 core of a busy machine.
local elmo = import '../elmo.libsonnet';

{
  data:: {
    train: elmo.fixtures + '/data/events/train/trees.mrg',
    development: elmo.fixtures + '/data/events/dev/trees.mrg',
    test: elmo.fixtures + '/data/events/test/trees.mrg',
  },
  architecture:: elmo.architectures.english,
  pretrained_file:: 'english',
  hidden_size:: 100,
  // of a part of speech
  tag_size:: 50,

  dataset_reader: {
    type: 'ptb_trees',
    use_pos_tags: true,
    token_indexers: elmo.indexers($.architecture),
  },
  train_data_path: $.data.train,
  validation_data_path: $.data.development,
  test_data_path: $.data.test,
  evaluate_on_test: true,
  model: {
    type: 'constituency_parser',
    text_field_embedder: elmo.embedder($.architecture, $.pretrained_file),
    pos_tag_embedding: { embedding_dim: $.tag_size, vocab_namespace: 'pos' },
    encoder: {
      type: 'lstm',
      input_size: elmo.output_size($.architecture) + $.tag_size,
      hidden_size: $.hidden_size,
      num_layers: 2,
      bidirectional: true,
      dropout: 0.2,
    },
    span_extractor: { type: 'bidirectional_endpoint', input_dim: 2 * $.hidden_size },
    feedforward: {
      input_dim: 2 * $.hidden_size,
      num_layers: 1,
      hidden_dims: 100,
      activations: 'relu',
      dropout: 0.1,
    },
    // the folder of a compiled EVALB gives the F1 of brackets
    evalb_directory_path: null,
  },
  data_loader: { batch_sampler: { type: 'bucket', batch_size: 16 } },
  trainer: elmo.trainer('-loss', 15, 5),
}
