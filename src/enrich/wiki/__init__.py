"""Files on disk: find and load pages and data, and edit frontmatter losslessly. No LLM, no network."""
