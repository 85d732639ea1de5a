// What compare.py trains: the model of a task's configuration over one kind of word vectors.
//
// A function of one object:
//   task          a key of `tasks`
//   kind          a key of `kinds`
//   data          { train, development, test }: files
//   files         { word2vec, fasttext, tuned, transformer }: what the kinds read; those of others
//                 may be null
//   seed
local elmo = import '../training_configs/elmo.libsonnet';
local without_elmo = import '../training_configs/tagging/ner_without_elmo.jsonnet';

local tasks = {
  ner: import '../training_configs/tagging/ner.jsonnet',
  pos: import '../training_configs/tagging/pos.jsonnet',
  sst5: import '../training_configs/classification/sst.jsonnet',
  trec6: import '../training_configs/classification/trec.jsonnet',
};

// One kind of word vectors: how words are indexed and embedded, and the size of what comes out.
local nothing = { indexers: {}, embedders: {}, size: 0 };

local join(one, other) = {
  indexers: one.indexers + other.indexers,
  embedders: one.embedders + other.embedders,
  size: one.size + other.size,
};

local learned = nothing {
  indexers: { tokens: { type: 'single_id', lowercase_tokens: true } },
  embedders: { tokens: { type: 'embedding', embedding_dim: 100 } },
  size: 100,
};

// Trained further with the task, as is usual, or frozen, as ELMo is.
local static(file, size=300, trainable=true) = nothing {
  indexers: { words: { type: 'single_id', namespace: 'words' } },
  embedders: {
    words: {
      type: 'embedding',
      embedding_dim: size,
      vocab_namespace: 'words',
      pretrained_file: file,
      trainable: trainable,
    },
  },
  size: size,
};

// As taggers have them beside word vectors.
local characters = nothing {
  indexers: { token_characters: without_elmo.dataset_reader.token_indexers.token_characters },
  embedders: {
    token_characters: without_elmo.model.text_field_embedder.token_embedders.token_characters,
  },
  size: without_elmo.num_filters,
};

local contextual(file) = nothing {
  indexers: elmo.indexers(elmo.architectures.english),
  embedders: elmo.embedder(elmo.architectures.english, file).token_embedders,
  size: elmo.output_size(elmo.architectures.english),
};

// A mix that is not trained; so small a weight leaves its layer out.
local none = -9e10;
local mixed(weights) = contextual('english') {
  embedders+: { elmo+: { scalar_mix_parameters: weights } },
};

// Each layer by an embedder of its own.
local side_by_side = std.foldl(join, [
  nothing {
    local name = 'layer_' + layer,
    local alone = mixed([if other == layer then 0 else none for other in std.range(0, 2)]),
    indexers: { [name]: alone.indexers.elmo },
    embedders: { [name]: alone.embedders.elmo { frozen_features: { max_gigabytes: 1.5 } } },
    size: alone.size,
  }
  for layer in std.range(0, 2)
], nothing);

// Frozen, as ELMo is, and its layers mixed, as ELMo's are.
local transformer(file, size=384) = nothing {
  local name = { type: 'pretrained_transformer_mismatched', model_name: file },
  indexers: { transformer: name },
  embedders: { transformer: name { train_parameters: false, last_layer_only: false } },
  size: size,
};

// Of a biLM that knows much already.
local smaller_steps = std.mapWithIndex(
  function(group, regex) [[regex], { lr: [0.0001, 0.0002, 0.0004][group] }],
  elmo.bilm_parameters
);

function(run)
  local base = tasks[run.task];
  local is_tagger = std.objectHas(base.model, 'encoder');
  local with_characters(kind) = if is_tagger then join(kind, characters) else kind;
  local kinds = {
    learned: with_characters(learned),
    word2vec: with_characters(static(run.files.word2vec)),
    word2vec_frozen: with_characters(static(run.files.word2vec, trainable=false)),
    fasttext: with_characters(static(run.files.fasttext)),
    elmo: contextual('english'),
    elmo_no_dropout: contextual('english') { embedders+: { elmo+: { dropout: 0.0 } } },
    elmo_tuned: contextual(run.files.tuned),
    elmo_trained: contextual('english') { embedders+: { elmo+: { requires_grad: true } } },
    elmo_learned: join(contextual('english'), learned),
    elmo_word2vec: join(contextual('english'), static(run.files.word2vec)),
    elmo_fasttext: join(contextual('english'), static(run.files.fasttext)),
    elmo_layer_0: mixed([0, none, none]),
    elmo_layer_1: mixed([none, 0, none]),
    elmo_layer_2: mixed([none, none, 0]),
    elmo_mean: mixed([0, 0, 0]),
    elmo_layers: side_by_side,
    transformer: transformer(run.files.transformer),
  };
  local kind = kinds[run.kind];
  // AllenNLP's classifier wants the words' ids, whatever it embeds
  local ids = if is_tagger || std.objectHas(kind.indexers, 'tokens') then nothing else nothing {
    indexers: learned.indexers,
    embedders: { tokens: { type: 'empty' } },
  };
  local vectors = join(kind, ids);
  base {
    data:: run.data,
    dataset_reader+: { token_indexers: vectors.indexers },
    model+: {
      text_field_embedder: { token_embedders: vectors.embedders },
      [if is_tagger then 'encoder' else 'seq2vec_encoder']+: { input_size: vectors.size },
    },
    data_loader: elmo.data_loader(16),
    trainer+: {
      num_epochs: 15,
      patience: 4,
      learning_rate_scheduler: null,
      optimizer: {
        type: 'adam',
        lr: 0.001,
        [if run.kind == 'elmo_trained' then 'parameter_groups']: smaller_steps,
      },
    },
    random_seed: run.seed,
    numpy_seed: run.seed,
    pytorch_seed: run.seed,
  }
