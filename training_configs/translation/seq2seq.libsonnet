// What the configurations of translation share: an encoder-decoder with attention, whose encoder
// reads ELMo beside learned word vectors.
local elmo = import '../elmo.libsonnet';

{
  data:: error 'data must name the files',
  // How parallel files are called, such as ['.en', '.de'], of which `data` then has what comes before;
  // null for files of one pair a line, parted by a tab.
  suffixes:: null,
  // Whose rules split the text; spaCy's codes.
  languages:: { source: 'en', target: 'de' },
  // The columns of the two, counted from 0.
  columns:: { source: 0, target: 1 },
  architecture:: elmo.architectures.english,
  pretrained_file:: 'english',
  word_size:: 256,
  // Of the decoder, and of both directions of the encoder together.
  hidden_size:: 256,
  // What occurs in training less often is unknown.
  min_count:: 3,

  dataset_reader: {
    type: 'elmo_parallel',
    suffixes: $.suffixes,
    source_column: $.columns.source,
    target_column: $.columns.target,
    source_tokenizer: { type: 'spacy_blank', language: $.languages.source },
    target_tokenizer: { type: 'spacy_blank_joined', language: $.languages.target },
    source_token_indexers: elmo.indexers($.architecture) {
      tokens: { type: 'single_id', namespace: 'source_tokens', lowercase_tokens: true },
    },
    target_token_indexers: { tokens: { type: 'single_id', namespace: 'target_tokens' } },
  },
  train_data_path: $.data.train,
  validation_data_path: $.data.development,
  test_data_path: $.data.test,
  evaluate_on_test: true,
  vocabulary: { min_count: { source_tokens: $.min_count, target_tokens: $.min_count } },
  model: {
    type: 'elmo_seq2seq',
    source_text_embedder: elmo.embedder($.architecture, $.pretrained_file) {
      token_embedders+: {
        tokens: {
          type: 'embedding',
          embedding_dim: $.word_size,
          vocab_namespace: 'source_tokens',
        },
      },
    },
    encoder: {
      type: 'lstm',
      input_size: elmo.output_size($.architecture) + $.word_size,
      hidden_size: $.hidden_size / 2,
      bidirectional: true,
    },
    decoder: {
      type: 'auto_regressive_seq_decoder',
      target_namespace: 'target_tokens',
      target_embedder: { embedding_dim: $.word_size, vocab_namespace: 'target_tokens' },
      decoder_net: {
        type: 'lstm_cell',
        decoding_dim: $.hidden_size,
        target_embedding_dim: $.word_size,
        bidirectional_input: true,
        // of few pairs it finds what belongs together sooner than a bilinear one
        attention: { type: 'additive', vector_dim: $.hidden_size, matrix_dim: $.hidden_size },
      },
      label_smoothing_ratio: 0.1,
      // in evaluation only; training reads the translation given
      beam_search: {
        beam_size: 4,
        max_steps: 60,
        constraints: [{ type: 'elmo_known_words' }],
        // without it short translations win
        final_sequence_scorer: { type: 'length-normalized-sequence-log-prob' },
      },
    },
    text_based_metric: { type: 'sacrebleu' },
    dropout: 0.3,
  },
  data_loader: elmo.data_loader(64) {
    batch_sampler+: { sorting_keys: ['target_tokens', 'source_tokens'] },
  },
  trainer: elmo.trainer('+BLEU', 15, 5),
}
