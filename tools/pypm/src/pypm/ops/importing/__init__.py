"""Other tools' files read: one module for each format, texts in, records out."""
