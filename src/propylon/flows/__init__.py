"""Acts: one file a story. A flow reads, lets the core decide, and writes at most once."""
