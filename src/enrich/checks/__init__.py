"""Page checks: frontmatter schema and key order, insights, and the nine writing rules."""
