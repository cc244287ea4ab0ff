"""Signing the tree's head and keeping what was signed: keys, checkpoints, proofs, tiles."""
