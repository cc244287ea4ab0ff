"""Workflows written as async functions: `@workflow`, `@step`, `ctx`, and the planner that drives the coroutine."""
