// Sentiment in two classes: sst.jsonnet without the neutral.
//
// Data: as in sst.jsonnet; trees of the label 2 are left out, and the other four labels make two.
//
//   allennlp train training_configs/classification/sst2.jsonnet -s output/sst2 --include-package elmo_components
//
// Measured: accuracy 0.85 on the development and 0.85 on the test sentences of the fixtures, of which
// there are 40 each, in 29 seconds on 1 core. The treebank itself: 0.827 and 0.812, in 3
// minutes.
(import 'sst.jsonnet') {
  granularity:: '2-class',
}
