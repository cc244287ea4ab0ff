"""What the SQL backends share: the tables, what one commit will write, who writes it, and reading it back."""
