//! The statements of one transaction, each beside its table.

use super::{
    STORE, Tx, acts, changes, check_regions, checks, error, heartbeats, incidents, outbox, secrets,
    settings,
};

crate::stores::sql::transaction::state_tx!();
