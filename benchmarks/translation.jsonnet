// The first 2,900 pairs of Multi30k, a tenth, with ELMo in the encoder or without.
//
// DATA is the folder of the files as published, ELMO is 'with' or 'without'. All 1,000 pairs of the
// test set are translated afterwards, by the epoch that was best on the 400 development pairs:
//
//   DATA=multi30k ELMO=with SEED=0 allennlp train benchmarks/translation.jsonnet -s output/tenth --include-package elmo_components
//   allennlp evaluate output/tenth/model.tar.gz multi30k/test --include-package elmo_components -o '{"dataset_reader.max_instances": null, "validation_dataset_reader.max_instances": null}'
local base = {
  with: import '../training_configs/translation/multi30k.jsonnet',
  without: import '../training_configs/translation/multi30k_without_elmo.jsonnet',
}[std.extVar('ELMO')];
local data = std.extVar('DATA');
local seed = std.parseInt(std.extVar('SEED'));

base {
  data:: { train: data + '/train', development: data + '/dev', test: data + '/test' },
  suffixes:: ['.en', '.de'],
  min_count:: 2,
  dataset_reader+: { max_instances: 2900 },
  validation_dataset_reader: $.dataset_reader { max_instances: 400 },
  evaluate_on_test: false,
  data_loader+: { batch_sampler+: { batch_size: 16 } },
  validation_data_loader: $.data_loader { batch_sampler+: { batch_size: 64 } },
  trainer+: { num_epochs: 20, patience: 6 },
  random_seed: seed,
  numpy_seed: seed,
  pytorch_seed: seed,
}
