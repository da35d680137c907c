"""What a machine is like: facts for a topology, and a survey for doctor. Changes nothing."""
