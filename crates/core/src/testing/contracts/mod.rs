//! One suite a port. A new adapter is done when they are green.
