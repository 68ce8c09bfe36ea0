"""What customers see, one module for each resource."""
