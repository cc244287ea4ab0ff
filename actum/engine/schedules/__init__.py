"""Schedules: when executions begin by themselves, and what becomes of those that could not."""
