"""The newest results and what the watch made of them, for Prometheus and Grafana."""
