//! A check as JSON: what comes back, and for the document what may be sent.

use std::collections::BTreeMap;

use pulse_core::models::assertion::{Assertion, Comparison, Source};
use pulse_core::models::check::{CheckView, METHODS, Status};
use pulse_core::models::expected_status::ExpectedStatus;
use pulse_core::models::http_version::HttpVersion;
use pulse_core::models::probe_spec::Auth;
use pulse_core::models::proxy::Proxy;
use pulse_core::models::retry::{Growth, Retry};
use pulse_core::models::way::{AddressChoice, IpFamily, TlsOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::{
    Object, ObjectBuilder, RefOr, Schema,
    schema::{Array, ArrayBuilder, SchemaType, Type},
};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::auth_shape::AuthShape;
use super::heartbeat_shape::{HeartbeatBody, HeartbeatInput};
use super::time::Time;

/// The schema of a status.
pub fn statuses() -> Object {
    let meaning = "`pending`: not looked at yet; `up`: well in every region that has looked; \
        `degraded`: alive, and less than well in at least one region; `down`: in at least one region; \
        `paused`: a person said so.";
    words(meaning, Status::ALL.iter().map(|status| status.as_str()))
}

fn methods() -> Object {
    words("The method of the request.", METHODS.into_iter())
}

fn http_versions() -> Object {
    words("Which HTTP the request is made over, if not 1.1.", http_version_words())
}

fn http_version_or_null() -> Object {
    let meaning = "Which HTTP the request is made over: `1.1`; `2` and nothing else, over TLS or, if the server knows \
        beforehand, without; `auto`: over TLS whichever of the two the server chooses. 1.1 when left out.";
    words_or_null(meaning, http_version_words())
}

fn http_version_words() -> impl Iterator<Item = &'static str> {
    HttpVersion::ALL.iter().map(|version| version.as_str())
}

fn statuses_or_null() -> Object {
    let meaning = "The statuses that mean ok: one, `200` say, a class, `\"2xx\"`, a range, `\"200-204\"`, or several \
        of them parted by commas; `null` for any 2xx.";
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Integer, Type::String, Type::Null]))
        .description(Some(meaning))
        .build()
}

const CHOICES: &str = "Which of the addresses are looked at: `first`, the first that answers; each by itself, 16 at most, and `any` that is \
    well is enough, or `all` of them must be.";

fn address_choices() -> Object {
    words(CHOICES, AddressChoice::ALL.iter().map(|choice| choice.as_str()))
}

fn address_choices_or_null() -> Object {
    words_or_null(CHOICES, AddressChoice::ALL.iter().map(|choice| choice.as_str()))
}

const FAMILIES: &str = "Which addresses are tried: `any`, of both families the first that answers; `4` or `6`, of one.";

fn ip_families() -> Object {
    words(FAMILIES, IpFamily::ALL.iter().map(|family| family.as_str()))
}

fn ip_families_or_null() -> Object {
    words_or_null(FAMILIES, IpFamily::ALL.iter().map(|family| family.as_str()))
}

fn growths() -> Object {
    let meaning = "How later waits grow: not at all, or each is twice the one before.";
    words(meaning, Growth::ALL.iter().map(|growth| growth.as_str()))
}

/// Said in words rather than as a schema: a rule may hold others to any depth.
fn assertions() -> Array {
    let sources = Source::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
    let comparisons = Comparison::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
    let meaning = format!(
        "A test, `{{\"source\", \"property\", \"comparison\", \"target\"}}`, or rules made of others: \
         `{{\"all\": [...]}}`, `{{\"any\": [...]}}`, `{{\"not\": {{...}}}}`. With `\"severity\": \"degraded\"` one that \
         does not hold makes a run `ok` with the reason `degraded`, and fails nothing. Sources: {sources}. The \
         property is a header's name, a JSONPath (RFC 9535), a phase (total, dns, connect, tls, first_byte; \
         milliseconds) or a fact's name. Comparisons: {comparisons}."
    );
    let rule = ObjectBuilder::new().schema_type(Type::Object).description(Some(meaning)).build();
    let all = "What must hold of the answer: at most 50 tests in all.";
    ArrayBuilder::new().items(rule).description(Some(all)).build()
}

fn method_or_null() -> Object {
    words_or_null("The method of the request; GET when left out.", METHODS.into_iter())
}

/// The schema of a string that is one of some words. It carries its own description: a doc comment
/// on the field would not reach the document.
pub fn words(meaning: &str, words: impl Iterator<Item = &'static str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .description(Some(meaning))
        .build()
}

/// The same, or `null`.
pub fn words_or_null(meaning: &str, words: impl Iterator<Item = &'static str>) -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some(words.map(Value::from).chain([Value::Null])))
        .description(Some(meaning))
        .build()
}

/// TLS as one check wants it; texts are PEM.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Tls)]
pub struct TlsShape {
    /// Whether the server's certificate is verified; it is, when left out.
    #[schema(required = false)]
    verify: bool,
    /// The authorities that are trusted, and no others; the system's when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    /// Shown to servers that ask who we are.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    /// Its key. Shown as `***`.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl From<TlsOptions> for TlsShape {
    fn from(options: TlsOptions) -> Self {
        let TlsOptions { verify, ca, certificate, key } = options;
        Self { verify, ca, certificate, key }
    }
}

/// Looking again before a verdict, within the same run. `attempts` times the timeout, and the waits between,
/// must be less than the interval.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Retry)]
pub struct RetryShape {
    /// Looks in all.
    #[schema(minimum = 2, maximum = 10, example = 3)]
    attempts: u32,
    /// Milliseconds before the second look; 500 when left out.
    #[schema(maximum = 60_000, required = false)]
    delay_ms: u32,
    /// How later waits grow; not at all when left out.
    #[schema(schema_with = growths, required = false)]
    backoff: String,
    /// After which classes of failure; any when empty.
    #[schema(required = false)]
    on: Vec<String>,
}

impl From<Retry> for RetryShape {
    fn from(retry: Retry) -> Self {
        Self {
            attempts: retry.attempts,
            delay_ms: retry.delay_ms,
            backoff: retry.backoff.as_str().to_owned(),
            on: retry.on.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A proxy that is asked for a tunnel (CONNECT) to the target, whatever is spoken there.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Proxy)]
pub struct ProxyShape {
    /// `http://host:port`.
    #[schema(example = "http://proxy.example:3128")]
    url: String,
    /// Without a colon.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// Shown as `***`.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

impl From<Proxy> for ProxyShape {
    fn from(proxy: Proxy) -> Self {
        let Proxy { url, username, password } = proxy;
        Self { url, username, password }
    }
}

/// A check and where it stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Check)]
pub struct CheckBody {
    /// Its id, a UUID of version 7.
    id: Uuid,
    /// What people call it.
    #[schema(example = "Google Homepage")]
    name: String,
    /// What is looked at.
    #[schema(example = "https://www.google.com")]
    url: String,
    /// The method of the request.
    #[schema(schema_with = methods)]
    method: String,
    /// The statuses that mean ok; `null` for any 2xx.
    #[schema(schema_with = statuses_or_null)]
    expected_status: Option<ExpectedStatus>,
    /// Of a body so many bytes are read, if not 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_body_bytes: Option<u32>,
    /// How many redirects are followed.
    max_redirects: u8,
    /// Which HTTP the request is made over, if not 1.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = http_versions, required = false)]
    http_version: Option<&'static str>,
    /// Seconds between two runs; `null` where a cron expression says when they are.
    interval_seconds: Option<u32>,
    /// Where the job calls: a path on this server. Whoever knows it may speak for the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/ping/5f0c1d1a9f2e4b6c8d7e0f1a2b3c4d5e")]
    ping_url: Option<String>,
    /// How the job is waited for, and where that stands; only of checks that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat: Option<HeartbeatBody>,
    /// Failures that open an incident.
    alert_threshold: u32,
    /// Among how many of the last runs they are counted; `null` for in a row.
    alert_window: Option<u32>,
    /// Good runs in a row that resolve it.
    recovery_threshold: u32,
    /// Limit of one run, in milliseconds.
    timeout_ms: u32,
    /// Who is told; `null` for nobody.
    webhook_url: Option<String>,
    /// Signs the webhooks. Only here when the check was just created; later see `/webhook-secret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_secret: Option<String>,
    /// Sent with each run.
    headers: BTreeMap<String, String>,
    /// Sent with each run.
    body: Option<String>,
    /// Sent with each run, as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Value>,
    /// Sent with each run, as a form.
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<BTreeMap<String, String>>,
    /// Whether each request is one that no cache has an answer to.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_busting: Option<bool>,
    /// What is said once the way is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    send: Option<String>,
    /// A regular expression that must be found in what comes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<String>,
    /// Who asks; secrets are shown as `***`.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<AuthShape>,
    /// Which addresses are tried.
    #[schema(schema_with = ip_families)]
    ip_family: &'static str,
    /// Which of them are looked at, if not the first that answers.
    #[schema(schema_with = address_choices, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    addresses: Option<&'static str>,
    /// Who is asked for addresses, if not whom the worker asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolver: Option<String>,
    /// What is particular about TLS; the key is shown as `***`.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsShape>,
    /// Through whom the target is reached; the password is shown as `***`.
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<ProxyShape>,
    /// What must hold of the answer.
    #[schema(schema_with = assertions)]
    assertions: Vec<Assertion>,
    /// Whether the target is well when it is down.
    upside_down: bool,
    /// Whether to look again before a verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<RetryShape>,
    /// Whether it is scheduled.
    enabled: bool,
    /// Free words to filter by.
    tags: Vec<String>,
    /// Where it is looked from.
    regions: Vec<String>,
    /// The checks that it cannot be well without: while one of them is down, nobody is told of this one.
    depends_on: Vec<Uuid>,
    /// Its health over all regions.
    #[schema(schema_with = statuses)]
    status: &'static str,
    /// When it is due next; `null` while it is paused.
    next_run_at: Option<Time>,
    /// The latest slot that ended; `null` before the first.
    last_run_at: Option<Time>,
    /// Counts the changes of its configuration, and of secrets it refers to, from 1.
    version: i32,
    /// When it was created.
    created_at: Time,
    /// When its configuration last changed.
    updated_at: Time,
}

impl CheckBody {
    /// The check as its creator gets it.
    pub fn with_secret(mut view: CheckView) -> Self {
        let webhook_secret = view.check.webhook_secret.take();
        Self { webhook_secret, ..Self::from(view) }
    }
}

impl From<CheckView> for CheckBody {
    fn from(view: CheckView) -> Self {
        let CheckView { check, status, next_run_at, last_run_at, waiting } = view;
        let config = check.config;
        let interval_seconds = (!config.goes_by_cron()).then_some(config.interval_seconds);
        let ping_url = waiting.as_ref().map(|it| format!("/ping/{}", it.token.as_str()));
        let heartbeat = config.heartbeat.zip(waiting);
        let (http, addresses) = (config.probe.http_version, config.probe.addresses);
        Self {
            id: check.id.0,
            name: config.name,
            url: config.probe.url,
            method: config.probe.method,
            expected_status: config.probe.expected_status.clone(),
            max_body_bytes: config.probe.max_body_bytes,
            max_redirects: config.probe.max_redirects,
            http_version: (!http.is_usual()).then_some(http.as_str()),
            interval_seconds,
            ping_url,
            heartbeat: heartbeat.map(|(options, waiting)| HeartbeatBody::of(options, &waiting)),
            alert_threshold: config.alert_threshold,
            alert_window: config.alert_window,
            recovery_threshold: config.recovery_threshold,
            timeout_ms: config.timeout_ms,
            webhook_url: config.webhook_url,
            webhook_secret: None,
            headers: config.probe.headers,
            body: config.probe.body,
            json: config.probe.json,
            form: config.probe.form,
            cache_busting: config.probe.cache_busting.then_some(true),
            send: config.probe.send,
            expect: config.probe.expect,
            auth: config.probe.auth.as_ref().map(Auth::masked).map(AuthShape::from),
            ip_family: config.probe.ip_family.as_str(),
            resolver: config.probe.resolver.map(|resolver| resolver.to_string()),
            addresses: (!addresses.is_usual()).then_some(addresses.as_str()),
            tls: config.probe.tls.map(|tls| TlsShape::from(tls.masked())),
            proxy: config.probe.proxy.map(|proxy| ProxyShape::from(proxy.masked())),
            assertions: config.probe.assertions,
            upside_down: config.probe.upside_down,
            retry: config.probe.retry.map(RetryShape::from),
            enabled: config.enabled,
            tags: config.tags,
            regions: config.regions.iter().map(|region| region.as_str().to_owned()).collect(),
            depends_on: config.depends_on.iter().map(|id| id.0).collect(),
            status: status.as_str(),
            next_run_at: next_run_at.map(Time::from),
            last_run_at: last_run_at.map(Time::from),
            version: check.version,
            created_at: check.created_at.into(),
            updated_at: check.updated_at.into(),
        }
    }
}

/// What a check is to be. `null` means the same as leaving a field out: its default.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes what CheckDraft::read takes; a test holds the two together"
)]
pub struct CheckInput {
    /// What people call it.
    #[schema(min_length = 1, max_length = 200, example = "Google Homepage")]
    name: String,
    /// What to look at: `http://`, `https://`, `tcp://host:port`, `tls://host:port`, `redis://host/0`, `rediss://host/0`,
    /// `postgres://host/database`, `mysql://host/database`, `smtp://host`, `udp://host:port`, `icmp://host`,
    /// `dns://server/name?type=A`, `grpc://host:port/service` or `ws://host/path`, no credentials. `heartbeat://` alone waits for
    /// a job that calls.
    #[schema(max_length = 2048, example = "https://www.google.com")]
    url: String,
    /// The method of the request; GET when left out.
    #[schema(schema_with = method_or_null, required = false)]
    method: Option<String>,
    /// The statuses that mean ok: one, a class, a range, or several parted by commas. Any 2xx when left out.
    #[schema(schema_with = statuses_or_null, required = false)]
    expected_status: Option<ExpectedStatus>,
    /// Of the body of an answer so many bytes are read, at most 1 MiB; what follows is left, and is no failure.
    #[schema(minimum = 1, maximum = 1_048_576, default = 65_536)]
    max_body_bytes: Option<u32>,
    /// How many redirects are followed; the status, the address and the phases are those of the last request.
    #[schema(minimum = 0, maximum = 20, default = 0)]
    max_redirects: Option<u8>,
    /// Which HTTP the request is made over.
    #[schema(schema_with = http_version_or_null, required = false)]
    http_version: Option<String>,
    /// Seconds between two runs: one second to seven days.
    #[schema(minimum = 1, maximum = 604_800, default = 60)]
    interval_seconds: Option<u32>,
    /// How the job of `heartbeat://` is waited for.
    heartbeat: Option<HeartbeatInput>,
    /// Failures that open an incident; for `heartbeat://` 1 when left out.
    #[schema(minimum = 1, maximum = 100, default = 3)]
    alert_threshold: Option<u32>,
    /// Among how many of the last runs they are counted, at least `alert_threshold`. In a row when left out.
    #[schema(minimum = 1, maximum = 100, example = 5)]
    alert_window: Option<u32>,
    /// Good runs in a row that resolve it, as of the first of them.
    #[schema(minimum = 1, maximum = 100, default = 1)]
    recovery_threshold: Option<u32>,
    /// Limit of one run, at most five minutes and less than the interval. 10 s when left out, or four fifths of an interval
    /// that leaves no room for it.
    #[schema(minimum = 1, maximum = 300_000, example = 10_000)]
    timeout_ms: Option<u32>,
    /// Who is told. Nobody when left out.
    #[schema(max_length = 2048, example = "https://your-webhook-url.com/alerts")]
    webhook_url: Option<String>,
    /// Signs the webhooks: `whsec_` and 24 to 64 bytes in base64. Made when left out and needed.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")]
    webhook_secret: Option<String>,
    /// Sent with each run: at most 50, and 16 KiB in all. `{{secret.NAME}}` in a value stands for a secret.
    headers: Option<BTreeMap<String, String>>,
    /// Sent with each run: at most 64 KiB. `{{secret.NAME}}` stands for a secret. Instead of it there may be `json` or `form`.
    body: Option<String>,
    /// Sent as `application/json`, unless a header says otherwise: any value but `null`, at most 64 KiB.
    json: Option<Value>,
    /// Sent as `application/x-www-form-urlencoded`, unless a header says otherwise: at most 64 KiB.
    form: Option<BTreeMap<String, String>>,
    /// Whether each request is one that no cache has an answer to: it has a parameter `_pulse` that is another every time, and
    /// `Cache-Control: no-cache` unless a header says otherwise.
    #[schema(default = false)]
    cache_busting: Option<bool>,
    /// What is said once the way is there: at most 64 KiB. A text for tcp, tls and udp, a command for redis and rediss, a
    /// query for postgres and mysql, a message for ws and wss.
    #[schema(max_length = 65_536, example = "PING\r\n")]
    send: Option<String>,
    /// A regular expression that must be found in the first 64 KiB of what comes back; it is read no further. For all
    /// that take `send`, of ws and wss in one of the messages; for dns, which searches its answers.
    #[schema(max_length = 1024, example = "^\\+PONG")]
    expect: Option<String>,
    /// Who asks, or who logs in: a name and a password for redis, rediss, postgres, mysql and smtp. Its secrets are never shown
    /// again.
    auth: Option<AuthShape>,
    /// Which addresses are tried: of both families, the first that answers, or of one.
    #[schema(schema_with = ip_families_or_null, required = false)]
    ip_family: Option<String>,
    /// Which of them are looked at: the first that answers, or each by itself (16 at most), of which one or all must be well.
    #[schema(schema_with = address_choices_or_null, required = false)]
    addresses: Option<String>,
    /// Who is asked for addresses: a name server, by its own address, with a port or without.
    #[schema(example = "10.0.0.53")]
    resolver: Option<String>,
    /// What is particular about TLS, where there may be any on the way.
    tls: Option<TlsShape>,
    /// Through whom the target is reached, for kinds that connect. A text stands for an object with that `url`.
    proxy: Option<ProxyShape>,
    /// What must hold of the answer: at most 50 tests in all.
    #[schema(schema_with = assertions, required = false)]
    assertions: Option<Vec<Assertion>>,
    /// Whether the target is well when it is down: a port that should be closed, a page that should be gone.
    #[schema(default = false)]
    upside_down: Option<bool>,
    /// Whether to look again before a verdict. Never when left out.
    retry: Option<RetryShape>,
    /// Whether it is scheduled.
    #[schema(default = true)]
    enabled: Option<bool>,
    /// Free words to filter by: at most 20, of 1 to 64 characters.
    #[schema(max_items = 20)]
    tags: Option<Vec<String>>,
    /// Where to look from: 1 to 20 names of lower-case letters, digits and hyphens. `["default"]` when left out.
    #[schema(min_items = 1, max_items = 20)]
    regions: Option<Vec<String>>,
    /// The checks that it cannot be well without: while one of them is down, nobody is told of this one. None
    /// may depend on this one, however many lie between.
    #[schema(max_items = 20)]
    depends_on: Option<Vec<Uuid>>,
}

/// What to change of a check: the fields of [`CheckInput`], none of them required.
pub struct CheckPatch;

impl PartialSchema for CheckPatch {
    fn schema() -> RefOr<Schema> {
        let mut schema = CheckInput::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.required.clear();
            object.description = Some(
                "What to change of a check. A field that is absent stays as it is; `null` restores its default, or \
                 removes one header."
                    .into(),
            );
            for field in object.properties.values_mut() {
                if let RefOr::T(Schema::Object(field)) = field {
                    field.default = None;
                }
            }
        }
        schema
    }
}

impl ToSchema for CheckPatch {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pulse_core::models::check::CheckDraft;
    use pulse_core::models::scheme::Scheme;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_document_names_the_fields_that_a_check_takes() {
        let config = CheckDraft::read(json!({"name": "a", "url": "http://h"})).unwrap().config;
        let config = serde_json::to_value(config).unwrap();
        let mut taken: BTreeSet<_> = config.as_object().unwrap().keys().cloned().collect();
        taken.extend(
            ["ip_family", "addresses", "resolver", "tls", "assertions", "upside_down", "retry"]
                .map(str::to_owned),
        );
        taken.extend(Scheme::ALL.iter().flat_map(|it| it.takes()).map(|field| (*field).to_owned()));
        taken.insert("webhook_secret".into());
        taken.insert("depends_on".into());

        let RefOr::T(Schema::Object(described)) = CheckInput::schema() else { panic!("an object") };

        assert_eq!(described.properties.keys().cloned().collect::<BTreeSet<_>>(), taken);
        assert_eq!(described.required, ["name", "url"]);
    }
}
