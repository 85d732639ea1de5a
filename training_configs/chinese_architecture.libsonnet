// The sizes of the included Chinese model, and the 6,000 characters that it reads by ids of their own:
// those that come most often in its text, of simplified characters.
local elmo = import 'elmo.libsonnet';

elmo.with_alphabet(
  elmo.architectures.english {
    char_cnn+: {
      // a word is a character: it needs more numbers than a letter, and no wide filters
      embedding: { dim: 64 },
      filters: [[1, 128], [2, 128], [3, 256]],
    },
  },
  importstr 'chinese_alphabet.txt'
)
