"""Spans: what traces show of executions, from their events."""
