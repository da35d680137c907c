"""What must hold for a gateway as a whole. Read `whole.py` first."""
