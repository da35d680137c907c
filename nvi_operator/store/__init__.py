"""What is kept in files: who changes a gateway now, and the settings as they were before us. Root's alone."""
