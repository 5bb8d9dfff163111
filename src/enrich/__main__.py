"""`python -m enrich` is the command line."""

from enrich.cli.main import main

main()
