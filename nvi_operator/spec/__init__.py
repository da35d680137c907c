"""What the user wrote, typed and checked, with the place of every value. Pure: reads text, no kernel."""
