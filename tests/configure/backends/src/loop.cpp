// Configured, never compiled.
