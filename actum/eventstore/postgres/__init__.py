"""PostgreSQL: any number of processes append at once; one of them gives the positions."""
