"""DuckDB: one file, one process; also where reports are computed."""
