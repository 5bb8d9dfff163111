"""Many pages, safely: plan, ask, verify, propose; budget, journal and the engines."""
