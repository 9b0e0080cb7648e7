//! The way from the shared flows to a dialect's statements, which lie beside their tables.

/// Implements [`super::StateTx`] for a dialect's `Tx`, whose modules `acts`, `changes`, `channel_states`, `checks`,
/// `check_regions`, `deliveries`, `follow_ups`, `heartbeats`, `incidents`, `outbox`, `secrets` and `settings` have the
/// statements. To be called where these, `Tx`, `STORE` and `error` are in scope.
macro_rules! state_tx {
    () => {
        use std::collections::BTreeSet;

        use async_trait::async_trait;

        use crate::models::alert::{Addressee, AlertKind, AttemptReport, Incident, LeasedDelivery};
        use crate::models::breaker::Failing;
        use crate::models::channel::Severity;
        use crate::models::check::{Check, CheckConfig, CheckView};
        use crate::models::check_region::CheckRegion;
        use crate::models::health::State;
        use crate::models::heartbeat::{Listening, PingToken};
        use crate::models::ids::{BatchId, CheckId, DeliveryId, IncidentId, ProjectId, Region};
        use crate::models::incident::Acknowledgement;
        use crate::models::installation::Installation;
        use crate::models::schedule::{Reach, Slot};
        use crate::models::secret::SecretName;
        use crate::models::setting::Setting;
        use crate::models::traits::Change;
        use crate::ports::StoreResult;
        use crate::ports::checks::IdempotencyKey;
        use crate::ports::secrets::{Referring, SealedSecret};
        use crate::stores::events::Noted;
        use crate::stores::sql::heartbeats::Locked;
        use crate::stores::sql::storms::{MemberRow, StormRow};
        use crate::stores::sql::telling::Followed;
        use crate::stores::sql::{
            Earlier, Ending, NewNote, Opening, Raised, Receiver, Remembered, StateTx, Undelivered,
        };

        #[async_trait]
        impl StateTx for Tx {
            const STORE: &'static str = STORE;

            async fn insert_check(&mut self, check: &Check) -> StoreResult<()> {
                checks::insert(self, check).await
            }

            async fn remember(
                &mut self,
                key: &IdempotencyKey,
                check: &Check,
                now: Slot,
            ) -> StoreResult<Option<Earlier>> {
                checks::remember(self, key, check, now).await
            }

            async fn lock_check(
                &mut self,
                project: ProjectId,
                id: CheckId,
            ) -> StoreResult<Option<Check>> {
                checks::lock(self, project, id).await
            }

            async fn update_check(&mut self, check: &Check) -> StoreResult<()> {
                checks::update(self, check).await
            }

            async fn delete_check(&mut self, id: CheckId, now: Slot) -> StoreResult<()> {
                checks::delete(self, id, now).await
            }

            async fn view(
                &mut self,
                project: ProjectId,
                id: CheckId,
            ) -> StoreResult<Option<CheckView>> {
                checks::view(&mut **self, project, id).await
            }

            async fn lock_checks(&mut self, checks: &[CheckId]) -> StoreResult<()> {
                checks::lock_all(self, checks).await
            }

            async fn configs(
                &mut self,
                checks: &[CheckId],
            ) -> StoreResult<Vec<(CheckId, i32, CheckConfig)>> {
                checks::configs(self, checks).await
            }

            async fn projects_of(
                &mut self,
                checks: &[CheckId],
            ) -> StoreResult<Vec<(CheckId, ProjectId)>> {
                checks::projects_of(self, checks).await
            }

            async fn put_secret(&mut self, secret: &SealedSecret, now: Slot) -> StoreResult<bool> {
                secrets::put(self, secret, now).await
            }

            async fn replace_seal(
                &mut self,
                before: &SealedSecret,
                sealed: &[u8],
            ) -> StoreResult<bool> {
                secrets::replace_seal(self, before, sealed).await
            }

            async fn remove_secret(
                &mut self,
                project: ProjectId,
                name: &SecretName,
            ) -> StoreResult<bool> {
                secrets::remove(self, project, name).await
            }

            async fn referring(
                &mut self,
                project: ProjectId,
                name: &SecretName,
                most: u32,
            ) -> StoreResult<Vec<Referring>> {
                secrets::referring(self, project, name, most).await
            }

            async fn renew_checks(&mut self, checks: &[CheckId]) -> StoreResult<()> {
                secrets::renew_checks(self, checks).await
            }

            async fn secrets(
                &mut self,
                projects: &[ProjectId],
                names: &[SecretName],
            ) -> StoreResult<Vec<SealedSecret>> {
                secrets::of(&mut **self, projects, names).await
            }

            async fn insert_heartbeat(
                &mut self,
                check: &Check,
                token: &PingToken,
            ) -> StoreResult<()> {
                heartbeats::insert(self, check, token).await
            }

            async fn delete_heartbeat(&mut self, check: CheckId) -> StoreResult<()> {
                heartbeats::delete(self, check).await
            }

            async fn lock_heartbeat(&mut self, check: CheckId) -> StoreResult<Option<Locked>> {
                heartbeats::lock(self, check).await
            }

            async fn lock_heartbeat_called(
                &mut self,
                token: &PingToken,
            ) -> StoreResult<Option<Locked>> {
                heartbeats::lock_called(self, token).await
            }

            async fn lock_overdue(&mut self, now: Slot, limit: u32) -> StoreResult<Vec<Locked>> {
                heartbeats::lock_overdue(self, now, limit).await
            }

            async fn save_heartbeats(&mut self, locked: &[Locked]) -> StoreResult<()> {
                heartbeats::save(self, locked).await
            }

            async fn listening(&mut self) -> StoreResult<Option<Listening>> {
                heartbeats::listening(self).await
            }

            async fn lock_due(
                &mut self,
                reach: Reach,
                limit: u32,
            ) -> StoreResult<Vec<CheckRegion>> {
                check_regions::lock_due(self, reach, limit).await
            }

            async fn lock_regions(
                &mut self,
                wanted: &BTreeSet<(CheckId, &str)>,
            ) -> StoreResult<Vec<CheckRegion>> {
                check_regions::lock(self, wanted).await
            }

            async fn lock_regions_of(&mut self, check: CheckId) -> StoreResult<Vec<CheckRegion>> {
                check_regions::lock_of(self, check).await
            }

            async fn insert_regions(&mut self, regions: &[CheckRegion]) -> StoreResult<()> {
                check_regions::insert(self, regions).await
            }

            async fn reconfigure_regions(&mut self, like: &CheckRegion) -> StoreResult<()> {
                check_regions::reconfigure(self, like).await
            }

            async fn save_regions(&mut self, regions: &[CheckRegion]) -> StoreResult<()> {
                check_regions::save(self, regions).await
            }

            async fn delete_regions(
                &mut self,
                check: CheckId,
                regions: &[&str],
            ) -> StoreResult<()> {
                check_regions::delete(self, check, regions).await
            }

            async fn region_states(
                &mut self,
                checks: &[CheckId],
            ) -> StoreResult<Vec<(CheckId, Region, State)>> {
                check_regions::states(self, checks).await
            }

            async fn open_incidents(
                &mut self,
                openings: &[Opening],
                now: Slot,
            ) -> StoreResult<Vec<Incident>> {
                incidents::open(self, openings, now).await
            }

            async fn resolve_incidents(
                &mut self,
                endings: &[Ending],
                now: Slot,
            ) -> StoreResult<Vec<Incident>> {
                incidents::resolve(self, endings, now).await
            }

            async fn told(
                &mut self,
                incidents: &[IncidentId],
            ) -> StoreResult<Vec<(IncidentId, Receiver)>> {
                incidents::told(self, incidents).await
            }

            async fn settings(&mut self, projects: &[ProjectId]) -> StoreResult<Vec<Setting>> {
                settings::of(self, projects).await
            }

            async fn incident(
                &mut self,
                project: ProjectId,
                id: IncidentId,
            ) -> StoreResult<Option<Incident>> {
                acts::incident(&mut **self, project, id).await
            }

            async fn lock_incident(
                &mut self,
                project: ProjectId,
                id: IncidentId,
            ) -> StoreResult<Option<Incident>> {
                acts::lock(self, project, id).await
            }

            async fn save_acknowledgement(
                &mut self,
                id: IncidentId,
                by: Option<&Acknowledgement>,
            ) -> StoreResult<()> {
                acts::save_acknowledgement(self, id, by).await
            }

            async fn insert_note(&mut self, note: &NewNote, now: Slot) -> StoreResult<()> {
                acts::insert_note(self, note, now).await
            }

            async fn count_notes(&mut self, incident: IncidentId) -> StoreResult<u32> {
                acts::count_notes(self, incident).await
            }

            async fn count_reported(&mut self, project: ProjectId) -> StoreResult<u32> {
                acts::count_reported(self, project).await
            }

            async fn installation(&mut self) -> StoreResult<Option<Installation>> {
                acts::installation(&mut **self).await
            }

            async fn insert_incident(&mut self, incident: &Incident) -> StoreResult<()> {
                incidents::insert(self, incident).await
            }

            async fn lock_storms(&mut self, project: ProjectId, waits: bool) -> StoreResult<bool> {
                storms::lock(self, project, waits).await
            }

            async fn storms(&mut self, projects: &[ProjectId]) -> StoreResult<Vec<StormRow>> {
                storms::lasting(self, projects).await
            }

            async fn told_since(
                &mut self,
                of: (ProjectId, Severity),
                since: Slot,
                others: &[CheckId],
                most: u32,
            ) -> StoreResult<u64> {
                storms::told_since(self, of, since, others, most).await
            }

            async fn note_told(&mut self, incidents: &[IncidentId], now: Slot) -> StoreResult<()> {
                storms::note_told(self, incidents, now).await
            }

            async fn members_of(
                &mut self,
                storm: &Incident,
                within_ms: i64,
                most: u32,
            ) -> StoreResult<Vec<MemberRow>> {
                storms::members_of(self, storm, within_ms, most).await
            }

            async fn describe_storm(&mut self, storm: &Incident, gathers: bool) -> StoreResult<()> {
                storms::describe(self, storm, gathers).await
            }

            async fn outages_of(
                &mut self,
                checks: &[CheckId],
            ) -> StoreResult<Vec<(CheckId, IncidentId)>> {
                follow_ups::outages_of(self, checks).await
            }

            async fn ask_children(&mut self, parents: &[IncidentId]) -> StoreResult<()> {
                follow_ups::ask_children(self, parents).await
            }

            async fn lock_project(&mut self, project: ProjectId) -> StoreResult<()> {
                settings::lock_project(self, project).await
            }

            async fn lock_follow_ups(
                &mut self,
                now: Slot,
                limit: u32,
            ) -> StoreResult<Vec<Incident>> {
                follow_ups::lock(self, now, limit).await
            }

            async fn save_followed(&mut self, followed: &[Followed]) -> StoreResult<()> {
                follow_ups::save(self, followed).await
            }

            async fn insert_alerts(
                &mut self,
                kind: AlertKind,
                raised: &[Raised],
                now: Slot,
            ) -> StoreResult<()> {
                incidents::insert_alerts(self, kind, raised, now).await
            }

            async fn insert_deliveries(
                &mut self,
                kind: AlertKind,
                raised: &[Raised],
                now: Slot,
            ) -> StoreResult<()> {
                incidents::insert_deliveries(self, kind, raised, now).await
            }

            async fn lock_failing(
                &mut self,
                project: ProjectId,
                receiver: &str,
            ) -> StoreResult<Option<Failing>> {
                channel_states::lock(self, project, receiver).await
            }

            async fn save_failing(
                &mut self,
                project: ProjectId,
                receiver: &str,
                failing: &Failing,
            ) -> StoreResult<()> {
                channel_states::save(self, project, receiver, failing).await
            }

            async fn forget_failing(
                &mut self,
                project: ProjectId,
                receiver: &str,
            ) -> StoreResult<()> {
                channel_states::forget(self, project, receiver).await
            }

            async fn complete_attempt(
                &mut self,
                lease: &LeasedDelivery,
                report: &AttemptReport,
                now: Slot,
            ) -> StoreResult<()> {
                deliveries::complete(self, lease, report, now).await
            }

            async fn end_lease(
                &mut self,
                lease: &LeasedDelivery,
                state: &str,
                next_attempt: Slot,
            ) -> StoreResult<Option<CheckId>> {
                deliveries::end_lease(self, lease, state, next_attempt).await
            }

            async fn undelivered(&mut self, ids: &[DeliveryId]) -> StoreResult<Vec<Undelivered>> {
                deliveries::undelivered(self, ids).await
            }

            async fn ends_of(&mut self, incidents: &[IncidentId]) -> StoreResult<Vec<Raised>> {
                deliveries::ends_of(self, incidents).await
            }

            async fn late(&mut self, since: Slot, limit: u32) -> StoreResult<Vec<DeliveryId>> {
                deliveries::late(self, since, limit).await
            }

            async fn switch_off(
                &mut self,
                project: ProjectId,
                channel: Addressee,
                reason: &str,
                now: Slot,
            ) -> StoreResult<bool> {
                channel_states::switch_off(self, project, channel, reason, now).await
            }

            async fn memories(
                &mut self,
                wanted: &BTreeSet<(CheckId, &str)>,
            ) -> StoreResult<Vec<Remembered>> {
                changes::memories(self, wanted).await
            }

            async fn save_memories(&mut self, memories: &[&Remembered]) -> StoreResult<()> {
                changes::save_memories(self, memories).await
            }

            async fn insert_changes(&mut self, changes: &[Change]) -> StoreResult<()> {
                changes::insert(self, changes).await
            }

            async fn insert_batch(
                &mut self,
                id: BatchId,
                rows: &[u8],
                row_count: usize,
            ) -> StoreResult<()> {
                outbox::insert(self, id, rows, row_count).await
            }

            fn noted(&mut self) -> &mut Noted {
                &mut self.noted
            }

            async fn commit(self) -> StoreResult<()> {
                Self::commit(self).await.map_err(error)
            }

            async fn unchanged<A: Send>(self, answer: A) -> A {
                self.roll_back().await;
                answer
            }
        }
    };
}
pub(in crate::stores) use state_tx;
