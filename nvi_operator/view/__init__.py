"""What people and programs read: rich renderables and JSON. Never computes, never touches the kernel."""
