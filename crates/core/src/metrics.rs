//! Every metric: name, labels, unit, in one table. No id is ever a label.

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder,
};
use serde_json::{Map, Value, json};

/// Delays and durations from a millisecond to half a minute.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

macro_rules! metrics {
    ($($(#[$doc:meta])* $field:ident: $kind:ident($name:literal, $help:literal $(, [$($label:literal),+])?);)+) => {
        /// The metrics of one process, in a registry of their own.
        #[derive(Clone, Debug)]
        pub struct Metrics {
            registry: Registry,
            $($(#[$doc])* #[doc = $help] pub $field: $kind,)+
        }

        impl Metrics {
            /// All of them, at zero.
            #[must_use]
            pub fn new() -> Self {
                let registry = Registry::new();
                $(
                    let $field = make::$kind($name, $help, &[$($($label),+)?]);
                    registry.register(Box::new($field.clone())).unwrap_or_else(|_| unreachable!("names differ"));
                )+
                Self { registry, $($field,)+ }
            }
        }
    };
}

metrics! {
    slots_claimed: IntCounter("pulse_slots_claimed_total", "Slots handed to the queue by this scheduler.");
    slots_missed: IntCounterVec("pulse_slots_missed_total", "Slots that nobody looked at, by who found out.", ["found_by"]);
    schedule_lag_seconds: Gauge("pulse_schedule_lag_seconds", "How long the most overdue check has been waiting.");
    claim_seconds: Histogram("pulse_claim_duration_seconds", "Time to claim, push and commit a batch of due slots.");
    jobs_dropped: IntCounter("pulse_jobs_dropped_total", "Jobs dropped because a region's queue was full.");
    http_requests: IntCounterVec("pulse_http_requests_total", "Requests to this server, by class of status.", ["status"]);
    http_seconds: Histogram("pulse_http_request_duration_seconds", "Time to answer a request.");
    runs: IntCounterVec("pulse_check_runs_total", "Runs finished by this prober, by outcome and reason.", ["outcome", "reason"]);
    check_seconds: Histogram("pulse_check_duration_seconds", "Time from the start of a run to its end.");
    start_delay_seconds: Histogram("pulse_start_delay_seconds", "Time from a slot to the start of its run, by this host's clock.");
    jobs_active: IntGauge("pulse_jobs_active", "Runs under way in this prober.");
    destination_waits: IntCounter("pulse_destination_waits_total", "Connections and datagram sockets that waited for others to leave their address.");
    queue_depth: IntGauge("pulse_queue_depth", "Jobs waiting in this prober's region.");
    completions_stale: IntCounter("pulse_completions_stale_total", "Results refused because their lease had gone to another.");
    results_backlog: IntGauge("pulse_results_backlog", "Results waiting to be recorded.");
    slots_recorded: IntCounter("pulse_slots_recorded_total", "Slots that got their outcome from this recorder.");
    results_stale: IntCounter("pulse_results_stale_total", "Results of slots that had their outcome already.");
    results_buried: IntCounter("pulse_results_buried_total", "Results set aside because they could not be recorded.");
    incidents: IntCounterVec("pulse_incidents_total", "Incidents opened, acknowledged and resolved by this process.", ["edge"]);
    changes: IntCounterVec("pulse_changes_total", "Changes of targets between runs found by this recorder.", ["kind"]);
    record_seconds: Histogram("pulse_record_duration_seconds", "Time to record a batch of results.");
    pings: IntCounterVec("pulse_pings_total", "Pings of jobs to this server, by what they said and what became of them.", ["signal", "result"]);
    heartbeats_overdue: IntCounterVec("pulse_heartbeats_overdue_total", "Deadlines of jobs that this server found passed, by outcome.", ["outcome"]);
    follow_ups: IntCounter("pulse_follow_ups_total", "Incidents that this server asked of again, whether people are to be told.");
    follow_up_alerts: IntCounter("pulse_follow_up_alerts_total", "Alerts that this server raised of incidents that last.");
    deliveries: IntCounterVec("pulse_deliveries_total", "Attempts made by this alerter, by what became of the delivery.", ["result"]);
    delivery_seconds: Histogram("pulse_delivery_duration_seconds", "Time of one delivery attempt.");
    events_published: IntCounterVec("pulse_events_published_total", "Live events that this process published, by type.", ["type"]);
    events_dropped: IntCounter("pulse_events_dropped_total", "Live events that this process had no room for; everyone who looked on was told to read again.");
    event_clients: GaugeVec("pulse_event_clients", "Clients of this server that are told live events, by transport.", ["transport"]);
    event_clients_refused: IntCounterVec("pulse_event_clients_refused_total", "Clients that were not let in, by reason.", ["reason"]);
    event_clients_ended: IntCounterVec("pulse_event_clients_ended_total", "Clients that were sent away, by reason.", ["reason"]);
    events_sent: IntCounterVec("pulse_events_sent_total", "Live events sent to clients, by transport.", ["transport"]);
    resyncs: IntCounterVec("pulse_event_resyncs_total", "Times that clients were told to read again, by reason.", ["reason"]);
    breakers: GaugeVec("pulse_breakers", "Receivers of alerts that fail: left alone while it is open, sent a probe while it is half open.", ["state"]);
    channels_disabled: IntGauge("pulse_channels_disabled", "Channels that Pulse has switched off.");
    dead_letters: IntGauge("pulse_dead_letters", "Deliveries that were given up and can be replayed.");
    deliveries_late: IntCounter("pulse_deliveries_late_total", "Deliveries that had waited so long that this alerter looked for a stand-in.");
    shipments: IntCounter("pulse_history_shipments_total", "Shipments of history that arrived.");
    history_backlog_bytes: IntGauge("pulse_history_backlog_bytes", "History waiting to be shipped.");
    history_rows_dropped: IntCounter("pulse_history_rows_dropped_total", "Rows of history given up because too much was waiting.");
    loop_errors: IntCounterVec("pulse_loop_errors_total", "Rounds of a role's loop that failed.", ["role"]);
    loop_age_seconds: GaugeVec("pulse_loop_age_seconds", "Time since a role's last good round.", ["role"]);
    uptime_seconds: Gauge("pulse_uptime_seconds", "Time since this process started.");
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// In Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        let encoded = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        debug_assert!(encoded.is_ok(), "writing to memory does not fail");
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Every sample by name, those with labels as `name{label="value"}`; histograms by sum and count.
    #[must_use]
    pub fn samples(&self) -> Map<String, Value> {
        let mut samples = Map::new();
        for line in
            self.text().lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket{"))
        {
            if let Some((name, value)) = line.rsplit_once(' ')
                && let Ok(value) = value.parse::<f64>()
            {
                samples.insert(name.to_owned(), json!(value));
            }
        }
        samples
    }
}

/// Makers by kind. A name or label that is wrong shows in the first test that makes `Metrics`.
#[expect(non_snake_case, reason = "named after the kinds they make")]
mod make {
    use super::{
        Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts,
        SECONDS,
    };

    macro_rules! maker {
        ($kind:ident, |$opts:ident, $labels:ident| $made:expr) => {
            pub fn $kind(name: &str, help: &str, $labels: &[&str]) -> super::$kind {
                let $opts = Opts::new(name, help);
                $made.unwrap_or_else(|_| unreachable!("the table of metrics is well formed"))
            }
        };
    }

    maker!(IntCounter, |opts, _labels| IntCounter::with_opts(opts));
    maker!(IntCounterVec, |opts, labels| IntCounterVec::new(opts, labels));
    maker!(IntGauge, |opts, _labels| IntGauge::with_opts(opts));
    maker!(Gauge, |opts, _labels| Gauge::with_opts(opts));
    maker!(GaugeVec, |opts, labels| GaugeVec::new(opts, labels));
    maker!(Histogram, |opts, _labels| Histogram::with_opts(
        HistogramOpts::from(opts).buckets(SECONDS.to_vec())
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_back_by_name() {
        let metrics = Metrics::new();
        metrics.slots_claimed.inc_by(3);
        metrics.loop_errors.with_label_values(&["prober"]).inc();

        let samples = metrics.samples();

        assert_eq!(samples["pulse_slots_claimed_total"], json!(3.0));
        assert_eq!(samples["pulse_loop_errors_total{role=\"prober\"}"], json!(1.0));
    }
}
