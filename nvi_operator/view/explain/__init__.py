"""What happens to a packet, for people and programs: `words` tells the steps; each other file writes one form."""
