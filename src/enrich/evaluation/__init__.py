"""How good are the answers: golden sets, agreement, drift."""
