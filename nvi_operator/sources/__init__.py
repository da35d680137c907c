"""Where a spec comes from: which revision it is, and when it changed."""
