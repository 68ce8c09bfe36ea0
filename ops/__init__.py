"""What an operator runs: rules, notifications, dashboards, drills."""
