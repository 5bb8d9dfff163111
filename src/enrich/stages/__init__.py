"""What to ask, what a valid answer is, and how it lands in the frontmatter."""
