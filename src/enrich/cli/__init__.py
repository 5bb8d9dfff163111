"""The command line: parse, call one library function, print. One file per group of commands."""
