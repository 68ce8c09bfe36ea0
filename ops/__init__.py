"""What an operator runs: rules, notifications, dashboards, the score of the diagnosis."""
