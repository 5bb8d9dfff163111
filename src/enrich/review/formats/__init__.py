"""The forms that proposals are shown in: word by word, as a pull-request comment, as JSON, as one HTML file."""
