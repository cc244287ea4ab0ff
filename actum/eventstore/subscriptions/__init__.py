"""Who reads the log from a position on, and how far each has come."""
