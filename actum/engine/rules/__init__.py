"""What holds, as functions of values: commands and the state in, events out; the folds; the rows of the views. Pure."""
