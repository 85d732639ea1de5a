// The blocks that the configurations share: architectures, indexers, embedders, trainers.

// The folder of this file, however it was reached, so that configurations work from any folder.
local here = std.join('/', local parts = std.split(std.thisFile, '/'); parts[:std.length(parts) - 1]);

// Peters et al. 2018 and the published option files; the sizes alone differ.
local published(cell_size, hidden_size, num_highway_layers) = {
  lstm: {
    use_skip_connections: true,
    projection_dim: hidden_size,
    dim: cell_size,
    n_layers: 2,
    cell_clip: 3,
    proj_clip: 3,
  },
  char_cnn: {
    activation: 'relu',
    embedding: { dim: 16 },
    filters: [[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]],
    max_characters_per_token: 50,
    n_characters: 262,
    n_highway: num_highway_layers,
  },
};

{
  // Where the small data sets that come with the project lie.
  fixtures: (if here == '' then '.' else here) + '/../fixtures',

  // Forms of `options.json`: `import` one of your own in their place.
  architectures: {
    // Small enough to train from nothing on a task of a few hundred sentences.
    tiny: {
      lstm: {
        use_skip_connections: true,
        projection_dim: 64,
        dim: 128,
        n_layers: 2,
        cell_clip: 3,
        proj_clip: 3,
      },
      char_cnn: {
        activation: 'relu',
        embedding: { dim: 16 },
        filters: [[1, 16], [2, 32], [3, 64], [4, 96], [5, 96]],
        max_characters_per_token: 50,
        n_characters: 262,
        n_highway: 1,
      },
    },
    // What can be trained well on a CPU, and fits into 16 MB in float16.
    english: {
      lstm: {
        use_skip_connections: true,
        projection_dim: 256,
        dim: 512,
        n_layers: 2,
        cell_clip: 3,
        proj_clip: 3,
      },
      char_cnn: {
        activation: 'relu',
        embedding: { dim: 16 },
        filters: [[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 256]],
        max_characters_per_token: 50,
        n_characters: 262,
        n_highway: 1,
      },
    },
    german: self.english,
    small: published(1024, 128, 1),
    medium: published(2048, 256, 1),
    original: published(4096, 512, 2),
  },

  // An architecture that reads the characters of an `alphabet.txt` by ids of their own.
  with_alphabet(architecture, text):
    local alphabet = std.strReplace(text, '\n', '');
    architecture {
      char_cnn+: {
        n_characters: 262 + std.length(alphabet),
        alphabet: alphabet,
      },
    },

  // The size of a token's vector.
  output_size(architecture): 2 * architecture.lstm.projection_dim,

  // One kind of indices, which is all that ELMo reads: words, spelt as an architecture has them.
  indexers(architecture): {
    local cnn = architecture.char_cnn,
    elmo: { type: 'elmo_character_ids' } + {
      [field]: cnn[field]
      for field in ['alphabet', 'units', 'words']
      if std.objectHas(cnn, field)
    },
  },

  // A text field embedder of ELMo alone. With a `pretrained_file` the biLM is frozen, and without
  // one it is trained from random weights.
  embedder(architecture, pretrained_file=null): {
    token_embedders: {
      elmo: {
        type: 'elmo',
        architecture: architecture,
        [if pretrained_file != null then 'pretrained_file']: pretrained_file,
        requires_grad: pretrained_file == null,
        // the layers of a frozen biLM are computed once, and kept in up to 4 GB of memory
        frozen_features: if self.requires_grad then null else { max_gigabytes: 4 },
        dropout: 0.3,
      },
    },
  },

  // Fields of a language model's configuration that let it learn from a frozen transformer too: a
  // name of Hugging Face's or a folder, and the size of its vectors. The target is the mean of its
  // layers, and of a word's pieces.
  transformer_teacher(name, size, weight): {
    local transformer = {
      type: 'pretrained_transformer_mismatched',
      model_name: name,
      max_length: 512,
    },
    dataset_reader+: { teacher_indexer: transformer },
    model+: {
      teacher: {
        embedder: transformer { last_layer_only: false },
        size: size,
        weight: weight,
      },
    },
  },

  // The same for a frozen ELMo, of which the options say how it reads words and what size it has.
  elmo_teacher(options, pretrained_file, weight): {
    dataset_reader+: { teacher_indexer: $.indexers(options).elmo },
    model+: {
      teacher: {
        type: 'elmo',
        pretrained_file: pretrained_file,
        size: $.output_size(options),
        weight: weight,
      },
    },
  },

  // Batches of sentences of like length.
  data_loader(batch_size): {
    batch_sampler: { type: 'bucket', batch_size: batch_size, sorting_keys: ['tokens'] },
  },

  // If `patience` is more than four, the learning rate is halved after four epochs without a better
  // `metric`.
  trainer(metric, num_epochs, patience): {
    num_epochs: num_epochs,
    patience: patience,
    validation_metric: metric,
    grad_norm: 5.0,
    optimizer: { type: 'adam', lr: 0.002 },
    [if patience > 4 then 'learning_rate_scheduler']: {
      type: 'reduce_on_plateau',
      factor: 0.5,
      mode: if metric[0] == '-' then 'min' else 'max',
      patience: 3,
    },
  },

  // Regular expressions of the parameters of a biLM of two layers, lowest first.
  bilm_parameters: [
    '\\.bilm\\.char_cnn\\.',
    '\\.bilm\\.lstm\\..*_layers\\.0\\.',
    '\\.bilm\\.lstm\\..*_layers\\.1\\.',
  ],

  // Fields of a trainer that trains the biLM too, as Howard and Ruder 2018 do: from the top down one
  // group of parameters more each epoch, the lower the smaller its steps. It needs the biLM to have
  // two layers, and `requires_grad`.
  fine_tuning: {
    patience: null,
    optimizer+: {
      // lowest first; the last has all that is no biLM's
      parameter_groups: [
        [[regex], {}]
        for regex in $.bilm_parameters + ['^(?!.*\\.bilm\\.)']
      ],
    },
    learning_rate_scheduler: {
      type: 'slanted_triangular',
      gradual_unfreezing: true,
      discriminative_fine_tuning: true,
      // of the steps from one group to the next lower
      decay_factor: 0.38,
    },
  },
}
