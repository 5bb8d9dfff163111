"""Frontmatter edits that change nothing else. The parser's events become a tree of spans (`spans`), each change becomes cuts of the text
(`cuts`), values are written so that every YAML reader agrees on them (`scalars`), and the result is read back (`readback`)."""
