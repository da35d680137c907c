"""What the user wrote, typed and checked, with the place of every value. Touches nothing of the kernel."""
