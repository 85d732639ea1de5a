"""`DatasetReader`s of tagged columns, labelled lines, plain text and Word in Context."""
