// What tune.py trains: the package's biLM on a little text.
//
// A function of one object:
//   train, development   files, a sentence a line
//   vocabulary           the folder of elmo-vocabulary
//   num_samples          words of the sampled softmax
//   num_epochs, steps_per_epoch
function(settings)
  (import '../training_configs/language_model/english.libsonnet') {
    data:: {
      train: settings.train,
      development: settings.development,
      test: null,
      vocabulary: settings.vocabulary,
    },
    pretrained_file:: 'english',
    num_epochs:: settings.num_epochs,
    steps_per_epoch:: settings.steps_per_epoch,
    warmup_steps:: settings.steps_per_epoch,
    evaluate_on_test: false,

    dataset_reader+: { shards_per_epoch: null },
    model+: { softmax+: { num_samples: settings.num_samples }, dropout: 0.1 },
    // the softmax, which starts afresh, must not make the biLM follow it
    trainer+: { optimizer+: { lr: 0.0003, parameter_groups: [[['softmax'], { lr: 0.01 }]] } },
  }
