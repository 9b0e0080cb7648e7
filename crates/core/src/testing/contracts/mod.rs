//! One suite a port. A new adapter is done when they are green.

pub mod events;
pub mod history;
pub mod queue;
pub mod state;
