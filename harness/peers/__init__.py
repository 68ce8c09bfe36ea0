"""The other end of telemetry: servers that tests send to and read back from."""
