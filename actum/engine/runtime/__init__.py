"""Where things happen: the engine, its runs and their attempts, and what they take from outside."""
