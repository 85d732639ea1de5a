"""What a checkpoint is, what its layers do with a word, and pictures of both."""
