"""Who is told: standard output, MQTT, webhooks, pins, files."""
