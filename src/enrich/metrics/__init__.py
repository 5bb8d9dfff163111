"""Numbers from the text of one page: structure, links, risk, coverage, quality. Pure functions; a wiki's names come in with its profile."""
