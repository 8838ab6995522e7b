"""Teaching given weights a hand of one's own, from a few pages."""
