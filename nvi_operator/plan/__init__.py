"""From a topology to the desired state, and from two states to the steps between them. Pure."""
