// Named entities with ELMo, a CRF and a lexicon: a table of names and their types.
//
// Data: as ner.jsonnet; and `lexicon`, a table of phrases and types with a tab between, or of JSON
// lines, with any types, which need not be those of the tags; fixtures/data/ner/lexicon.tsv unless it
// says otherwise. The table becomes part of the archive.
//
//   allennlp train training_configs/tagging/ner_lexicon.jsonnet -s output/ner_lexicon --include-package elmo_components
//
// Measured: span F1 0.938 on the development and 0.917 on the test sentences of the fixtures, against
// 0.901 and 0.817 of ner.jsonnet, in a minute on 1 core; the example table has every second name of
// these files, so it shows no more than that the marks arrive. WNUT-17 with benchmarks/lexicon_table.py's
// 36,622 names and `ignore_case: false`, with the second English model (see its card): test F1 0.354,
// 0.340 and 0.319 with three seeds, against 0.326, 0.343 and 0.337 of ner.jsonnet with the same seeds:
// no gain that they show.
local elmo = import '../elmo.libsonnet';

(import 'ner.jsonnet') {
  lexicon:: elmo.fixtures + '/data/ner/lexicon.tsv',
  // the size of the trained vectors of a token's marks
  lexicon_size:: 32,

  dataset_reader+: {
    token_indexers+: { lexicon: { type: 'elmo_lexicon', file: $.lexicon } },
  },
  model+: {
    text_field_embedder+: {
      token_embedders+: {
        lexicon: { type: 'elmo_lexicon', embedding_dim: $.lexicon_size },
      },
    },
    encoder+: { input_size: elmo.output_size($.architecture) + $.lexicon_size },
  },
}
