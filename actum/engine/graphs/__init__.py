"""Workflows as data: definitions read and checked, conditions and references, and the planner that runs them. Pure."""
