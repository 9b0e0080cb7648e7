//! A look that is over, as assertions ask of it.

use std::borrow::Cow;
use std::cell::OnceCell;

use http::HeaderValue;
use pulse_core::models::assertion::{Observed, Phase, Seen, Source, Subject, Unread};
use pulse_core::models::evidence::is_secret;
use pulse_core::models::run::{Observation, Phases};
use serde_json::Value;

use crate::probes::{Decoded, Notes, Sight};

/// See the module. What came back is put together and parsed once, if it is asked for.
pub(crate) struct Sighting<'a> {
    observation: &'a Observation,
    notes: &'a Notes,
    body: OnceCell<Result<Decoded<'a>, Unread>>,
    json: OnceCell<Result<Value, Unread>>,
}

impl<'a> Sighting<'a> {
    pub(crate) fn of(sight: &'a Sight) -> Self {
        let Sight { observation, notes, .. } = sight;
        Self { observation, notes, body: OnceCell::new(), json: OnceCell::new() }
    }

    fn body(&self) -> Result<&Decoded<'a>, Unread> {
        self.body.get_or_init(|| self.notes.reply()).as_ref().map_err(|unread| *unread)
    }

    fn of_whole(&self, source: Source) -> Option<Observed<'_>> {
        let number = |number: i64| {
            #[expect(clippy::cast_precision_loss, reason = "none of these is near 2^52")]
            let number = number as f64;
            Observed::Number(number)
        };
        match source {
            Source::Status => self.observation.status_code.map(|it| number(it.into())),
            Source::Size => i64::try_from(self.notes.reply_bytes()).ok().map(number),
            Source::CertificateDays => {
                let certificate = self.notes.certificate()?;
                Some(number(certificate.days_left(self.observation.started_at)))
            }
            Source::TlsVersion => self.notes.tls_version().map(Observed::text),
            Source::Ip => self.observation.address.map(|it| Observed::text(it.to_string())),
            Source::Redirects => Some(number(self.notes.redirects().into())),
            Source::GrpcStatus => self.fact("grpc_status"),
            Source::Body
            | Source::Header
            | Source::Json
            | Source::Latency
            | Source::Fact
            | Source::Dns => None,
        }
    }

    /// The beginning of a number is a number, and another one.
    fn read_json(&self) -> Result<Value, Unread> {
        let Decoded { body, is_cut_off } = self.body()?;
        let read: Option<Value> = serde_json::from_slice(body).ok();
        match read {
            Some(value) if !(*is_cut_off && value.is_number()) => Ok(value),
            _ if *is_cut_off => Err(Unread::CutOff { bytes: body.len() as u64 }),
            _ => Err(Unread::NoJson),
        }
    }

    fn fact(&self, name: &str) -> Option<Observed<'_>> {
        self.notes.fact(name).map(Observed::text)
    }
}

impl Seen for Sighting<'_> {
    fn observe(&self, subject: &Subject) -> Result<Vec<Observed<'_>>, Unread> {
        Ok(match subject {
            Subject::Header(name) => {
                let values = self.notes.headers().map(|headers| headers.get_all(name).iter());
                let values = values.into_iter().flatten().map(HeaderValue::as_bytes);
                if is_secret(name) {
                    values.map(Observed::Hidden).collect()
                } else {
                    values.map(|it| Observed::Text(Cow::Borrowed(it))).collect()
                }
            }
            Subject::Latency(phase) => {
                let us = microseconds(&self.observation.phases, *phase);
                us.map(|us| Observed::Number(f64::from(us) / 1000.0)).into_iter().collect()
            }
            Subject::Whole(Source::Dns) => {
                self.notes.answers().iter().map(|it| Observed::text(it.value.as_str())).collect()
            }
            Subject::Fact(name) => self.fact(name).into_iter().collect(),
            Subject::Whole(Source::Body) => {
                vec![Observed::Text(Cow::Borrowed(&self.body()?.body))]
            }
            Subject::Whole(source) => self.of_whole(*source).into_iter().collect(),
            Subject::Json(_) => Vec::new(),
        })
    }

    fn json(&self) -> Result<&Value, Unread> {
        self.json.get_or_init(|| self.read_json()).as_ref().map_err(|unread| *unread)
    }
}

const fn microseconds(phases: &Phases, phase: Phase) -> Option<u32> {
    match phase {
        Phase::Total => phases.total_us,
        Phase::Dns => phases.dns_us,
        Phase::Connect => phases.connect_us,
        Phase::Tls => phases.tls_us,
        Phase::FirstByte => phases.first_byte_us,
    }
}
