"""The Amazon States Language: its rules, its expressions, and the planner that runs a state machine. Pure."""
