"""MySQL and MariaDB: any number of processes, one writer at a time."""
