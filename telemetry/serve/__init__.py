"""The life cycle of a process: its threads, its ports, its samples."""
