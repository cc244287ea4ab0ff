"""`python -m actum`."""

from actum.cli.main import main

main()
