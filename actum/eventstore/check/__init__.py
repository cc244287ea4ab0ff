"""Proving a store: bytes, chains, tree, signatures, erasures, views. It believes nothing the store says."""
