"""The dashboards as code: `make dashboards` writes one JSON file for each, ready for Grafana's import."""
