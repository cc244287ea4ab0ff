"""Serverless Workflow 1.0: its rules, its expressions, and the planner that runs a workflow. Pure."""
