"""The quality of answers: sets of answers, metrics against golden data, agreement, drift."""
