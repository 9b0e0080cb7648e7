//! The statements of one transaction, each beside its table.

use super::{
    STORE, Tx, acts, changes, channel_states, check_regions, checks, deliveries, error, follow_ups,
    heartbeats, incidents, outbox, secrets, settings, storms,
};

crate::stores::sql::transaction::state_tx!();
