"""What may be erased, what must be kept, how long, and the log's own word for each."""
