"""What Pulse must do, told a second time. See README.md."""
