"""What a checkpoint is and what is wrong with it; a word's uses in sentences; pictures of both."""
