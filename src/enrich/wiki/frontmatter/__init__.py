"""Frontmatter edits that change nothing else. The parser's events become a tree of spans (`spans`), each change becomes cuts of the text
(`cuts`), whose values are written so that every YAML reader agrees on them, and the result is read back (`edit`). TOML has its own scanner (`toml`)."""
