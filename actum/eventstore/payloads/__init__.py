"""Payloads that are kept apart from the log: under data keys, in boxes, in the blob store."""
