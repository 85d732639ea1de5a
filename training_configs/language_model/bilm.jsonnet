// A biLM of one's own: pre-training on plain text.
//
// Data: text, one sentence a line, its tokens parted by spaces, in .txt, .gz or .xz files; and the
// folder that `elmo vocabulary` writes for it. fixtures/data/lm unless `data` says
// otherwise. docs/pretraining.md goes from a corpus to an exported checkpoint.
//
//   allennlp train training_configs/language_model/bilm.jsonnet -s output/bilm --include-package elmo_components
//
// Measured: perplexity 5.69 on the development and 6.17 on the test sentences of the fixtures, in 16
// seconds on 1 core.
local elmo = import '../elmo.libsonnet';

{
  data:: {
    train: elmo.fixtures + '/data/lm/train.txt',
    development: elmo.fixtures + '/data/lm/dev.txt',
    test: elmo.fixtures + '/data/lm/test.txt',
    vocabulary: elmo.fixtures + '/data/lm/vocabulary',
  },
  architecture:: elmo.architectures.tiny,
  // A checkpoint to start from, of the same architecture: see docs/pretraining.md, "Fine-tuning".
  pretrained_file:: null,
  // How many tokens are in a batch, with sentence marks and padding: those of all processes together.
  batch_tokens:: 256,
  // In how many pieces a process trains its share of a batch, one after another, to save memory.
  accumulation_steps:: 1,
  num_epochs:: 30,
  // The learning rate rises for some steps, then falls to 0 at the end of all epochs; how many steps
  // an epoch has is only known once it is read.
  warmup_steps:: 30,
  steps_per_epoch:: 11,

  dataset_reader: { type: 'elmo_corpus', shuffle_seed: 1 },
  // in its order, all of it each time
  validation_dataset_reader: { type: 'elmo_corpus' },
  train_data_path: $.data.train,
  validation_data_path: $.data.development,
  test_data_path: $.data.test,
  // AllenNLP evaluates in the first process alone, where the metrics would wait for the others
  evaluate_on_test: !std.objectHas($, 'distributed'),
  vocabulary: { type: 'from_files', directory: $.data.vocabulary, oov_token: '<UNK>' },
  model: {
    type: 'elmo_language_model',
    architecture: $.architecture,
    [if $.pretrained_file != null then 'pretrained_file']: $.pretrained_file,
    softmax: { type: 'sampled', num_samples: 64, sparse: true },
    dropout: 0.1,
  },
  data_loader: {
    // each process trains its share of each batch
    type: 'elmo_global_batches',
    num_gradient_accumulation_steps: $.accumulation_steps,
    batch_sampler: {
      type: 'max_tokens_sampler',
      max_tokens: $.batch_tokens,
      sorting_keys: ['inputs'],
    },
    // among so many sentences those of like length are looked for
    max_instances_in_memory: 16384,
  },
  trainer: {
    num_gradient_accumulation_steps: $.accumulation_steps,
    num_epochs: $.num_epochs,
    validation_metric: '-perplexity',
    grad_norm: 1.0,
    optimizer: { type: 'dense_sparse_adam', lr: 0.002 },
    learning_rate_scheduler: {
      type: 'linear_with_warmup',
      warmup_steps: $.warmup_steps,
      num_steps_per_epoch: $.steps_per_epoch,
    },
    // with these two, `--recover` continues a killed training to the same losses
    checkpointer: { type: 'elmo_checkpointer', save_every_num_seconds: 600 },
    callbacks: ['elmo_resume', 'elmo_progress', 'elmo_lost_process'],
  },
}
