"""What is sent and received: e-mails, notifications, contact messages with their photos."""
