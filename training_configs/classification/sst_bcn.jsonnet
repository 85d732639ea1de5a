// Sentiment with the biattentive classification network (McCann et al. 2017), which Peters et al.
// 2018 used for it, cut to a size that a CPU trains.
//
// Data: as in sst.jsonnet. `granularity` is '5-class', '3-class' or '2-class'.
//
//   allennlp train training_configs/classification/sst_bcn.jsonnet -s output/sst_bcn --include-package elmo_components
//
// Measured: the treebank itself, with `num_epochs` 6: accuracy 0.419 on development, 0.420 on test, in
// 5 minutes on 1 core; sst.jsonnet has 0.419 and 0.441. The fixtures are too few for it.
local elmo = import '../elmo.libsonnet';

(import 'sst.jsonnet') {
  // Peters et al. 2018 have 300
  hidden_size:: 100,

  // the network keeps the name "elmo" for an ELMo that it calls itself, AllenNLP's
  dataset_reader+: {
    local indexers = super.token_indexers,
    token_indexers: {
      tokens: indexers.tokens,
      characters: indexers.elmo,
    },
  },
  model: {
    type: 'bcn',
    text_field_embedder: {
      local embedders = elmo.embedder($.architecture, $.pretrained_file).token_embedders,
      token_embedders: {
        tokens: { type: 'embedding', embedding_dim: $.word_size },
        characters: embedders.elmo,
      },
    },
    embedding_dropout: 0.25,
    pre_encode_feedforward: {
      input_dim: elmo.output_size($.architecture) + $.word_size,
      num_layers: 1,
      hidden_dims: [$.hidden_size],
      activations: ['relu'],
      dropout: [0.25],
    },
    encoder: {
      type: 'lstm',
      input_size: $.hidden_size,
      hidden_size: $.hidden_size,
      bidirectional: true,
    },
    // the encoder's output, its difference from what it attends to, and their product
    integrator: {
      type: 'lstm',
      input_size: 6 * $.hidden_size,
      hidden_size: $.hidden_size,
      bidirectional: true,
    },
    integrator_dropout: 0.1,
    // pooled in four ways
    output_layer: {
      input_dim: 8 * $.hidden_size,
      num_layers: 2,
      output_dims: [2 * $.hidden_size, std.parseInt($.granularity[0])],
      pool_sizes: 4,
      dropout: [0.2, 0.0],
    },
  },
}
