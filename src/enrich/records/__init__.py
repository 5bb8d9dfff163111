"""Numbers across pages (backlinks, redundancy, ranks), the merge into records, and the status card."""
