//! One client's token: kept, fetched anew, forgotten.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;
use pulse_core::models::run::FailClass;

use super::answer::Granted;
use crate::probes::{ProbeFailure, headers};
use crate::scrub::Scrub;

/// How long a token is kept whose server does not say how long it lives.
const UNSAID: Duration = Duration::from_mins(5);
/// No token is kept longer, however long it lives.
const LONGEST: Duration = Duration::from_hours(1);
/// So long before its end a token is not used any more: a run takes a while, and clocks differ.
const MARGIN: Duration = Duration::from_secs(30);

/// A token as it is shown to targets, and what takes it out of what they send back.
pub(in crate::probes) struct Token {
    authorization: HeaderValue,
    scrub: Scrub,
}

impl Token {
    pub(in crate::probes) const fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    pub(in crate::probes) const fn scrub(&self) -> &Scrub {
        &self.scrub
    }
}

/// It is not shown.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

/// A token, and until when it is used.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    token: Arc<Token>,
    until: Instant,
}

impl Kept {
    /// A token that was asked for at that instant.
    pub(super) fn new(granted: Granted, asked: Instant) -> Result<Self, ProbeFailure> {
        let value = headers::authorization(&headers::bearing(&granted.token));
        let authorization = value.map_err(|_no_value| {
            ProbeFailure::of_target(FailClass::Protocol, "it cannot be sent")
        })?;
        let scrub = Scrub::of(&[granted.token]);
        let until = asked + used_for(granted.lives);
        Ok(Self { token: Arc::new(Token { authorization, scrub }), until })
    }
}

/// How long a token is used that lives so long. One that lives for less than twice the margin is used
/// for half of its life.
fn used_for(lives: Option<Duration>) -> Duration {
    let lives = lives.unwrap_or(UNSAID);
    lives.saturating_sub(MARGIN.min(lives / 2)).min(LONGEST)
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Slot {
    kept: Mutex<Option<Kept>>,
    /// Whoever holds it fetches; inside is how the last fetch failed, and when.
    fetching: tokio::sync::Mutex<Option<(Instant, ProbeFailure)>>,
}

impl Slot {
    /// The token that is kept, or what `fetch` brings. Those who wait while somebody else fetches get
    /// what that one gets; dropped, a fetch is begun anew by the next who waits.
    pub(super) async fn token<F>(
        &self,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<Token>, ProbeFailure>
    where
        F: Future<Output = Result<Kept, ProbeFailure>>,
    {
        let came = Instant::now();
        if let Some(token) = self.good_at(came) {
            return Ok(token);
        }
        let mut failed = self.fetching.lock().await;
        if let Some(token) = self.good_at(Instant::now()) {
            return Ok(token);
        }
        if let Some((_, failure)) = failed.as_ref().filter(|(at, _)| *at > came) {
            return Err(failure.clone());
        }
        match fetch().await {
            Ok(kept) => {
                let token = Arc::clone(&kept.token);
                *self.lock() = Some(kept);
                Ok(token)
            }
            Err(failure) => {
                *failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    /// Whoever came meanwhile with another one keeps it.
    pub(super) fn forget(&self, token: &Arc<Token>) {
        let mut kept = self.lock();
        if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(&kept.token, token)) {
            *kept = None;
        }
    }

    fn good_at(&self, now: Instant) -> Option<Arc<Token>> {
        self.lock().as_ref().filter(|kept| now < kept.until).map(|kept| Arc::clone(&kept.token))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(lives: u64) -> Granted {
        Granted { token: "t0ken".into(), lives: Some(Duration::from_secs(lives)) }
    }

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        let seconds = |lives: Option<u64>| used_for(lives.map(Duration::from_secs)).as_secs();

        assert_eq!(seconds(Some(600)), 570);
        assert_eq!((seconds(Some(60)), seconds(Some(40)), seconds(Some(0))), (30, 20, 0));
        assert_eq!((seconds(Some(86_400)), seconds(Some(u64::MAX))), (3_600, 3_600));
        assert_eq!(seconds(None), 270);
    }

    async fn never() -> Result<Kept, ProbeFailure> {
        panic!("there is one")
    }

    #[tokio::test]
    async fn a_token_is_fetched_anew_when_it_has_ended_or_was_forgotten() {
        let slot = Slot::default();
        let now = Instant::now();
        let fetch = |lives, asked| async move { Kept::new(granted(lives), asked) };

        let old = slot
            .token(|| fetch(60, now.checked_sub(Duration::from_secs(31)).unwrap()))
            .await
            .unwrap();
        let new = slot.token(|| fetch(60, now)).await.unwrap();
        assert!(!Arc::ptr_eq(&old, &new), "the first had ended");
        assert!(Arc::ptr_eq(&new, &slot.token(never).await.unwrap()));

        slot.forget(&old);
        assert!(Arc::ptr_eq(&new, &slot.token(never).await.unwrap()), "another was forgotten");
        slot.forget(&new);
        let newest = slot.token(|| fetch(60, now)).await.unwrap();
        assert!(!Arc::ptr_eq(&new, &newest));
        assert_eq!(format!("{newest:?} {:?}", newest.authorization()), "Token { .. } Sensitive");
    }
}
