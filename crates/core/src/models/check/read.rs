//! From a JSON object to a configuration, reporting every field at fault.

mod heartbeat;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{CheckConfig, CheckDraft, FieldError, Region, rules};
use crate::models::assertion::Assertion;
use crate::models::particulars;
use crate::models::probe_spec::ProbeSpec;
use crate::models::proxy::Proxy;
use crate::models::request_body;
use crate::models::scheme::Scheme;
use crate::models::secret::{self, MOST_REFERENCES};
use crate::models::target::{Target, web_address};
use crate::models::way::TlsOptions;

/// The fields of a probe that every kind has that is looked at.
const COMMON: [&str; 6] =
    ["ip_family", "addresses", "resolver", "assertions", "upside_down", "retry"];

impl CheckDraft {
    /// Reads and checks a whole configuration. Absent and `null` fields get their defaults.
    ///
    /// # Errors
    /// Every field at fault: unknown, of the wrong type, or out of its range.
    pub fn read(body: Value) -> Result<Self, Vec<FieldError>> {
        let Value::Object(fields) = body else {
            return Err(vec![error("", "must be a JSON object")]);
        };
        let mut reader = Reader { fields, errors: Vec::new() };
        let draft = reader.draft();
        reader.finish(draft)
    }

    /// Applies a merge patch (RFC 7396) to `current` and checks the result as a whole.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn patch(current: &CheckConfig, patch: Value) -> Result<Self, Vec<FieldError>> {
        if !patch.is_object() {
            return Err(vec![error("", "must be a JSON object")]);
        }
        let unsaid_timeout = patch.get("timeout_ms").is_none();
        let unsaid_interval = patch.get("interval_seconds").is_none();
        let mut whole = serde_json::to_value(current).unwrap_or_default();
        merge_patch(&mut whole, patch);
        let default = rules::default_timeout_ms(current.interval_seconds);
        if unsaid_timeout && current.timeout_ms == default {
            // A timeout nobody chose follows the interval.
            whole["timeout_ms"] = Value::Null;
        }
        heartbeat::leave_out_the_interval(&mut whole, unsaid_interval);
        Self::read(whole)
    }
}

/// Applies a merge patch (RFC 7396).
pub fn merge_patch(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(fields) = target {
        for (name, value) in patch {
            if value.is_null() {
                fields.remove(&name);
            } else {
                merge_patch(fields.entry(name).or_insert(Value::Null), value);
            }
        }
    }
}

struct Reader {
    fields: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Reader {
    fn draft(&mut self) -> Option<CheckDraft> {
        self.look_for_secrets();
        let name = self.required("name", rules::name);
        let probe = self.probe();
        let scheme = Target::parse(&probe.url).ok().map(|target| target.scheme);
        let waits = scheme.is_some_and(|scheme| !scheme.is_looked_at());
        let heartbeat = self.heartbeat(scheme);
        let interval_seconds = self.or(
            "interval_seconds",
            rules::DEFAULT_INTERVAL_SECONDS,
            rules::within(&rules::INTERVALS, " (one second to seven days)"),
        );
        let interval = interval_seconds.unwrap_or(*rules::INTERVALS.end());
        let alert_threshold = self.or(
            "alert_threshold",
            if waits { rules::HEARTBEAT_THRESHOLD } else { rules::DEFAULT_THRESHOLD },
            rules::within(&rules::THRESHOLDS, ""),
        );
        let threshold = alert_threshold.unwrap_or(*rules::THRESHOLDS.start());
        let draft = CheckDraft {
            config: CheckConfig {
                name: name.unwrap_or_default(),
                probe,
                interval_seconds: interval,
                heartbeat,
                alert_threshold: threshold,
                alert_window: self
                    .optional("alert_window", |window| rules::window(threshold, window)),
                recovery_threshold: self
                    .or(
                        "recovery_threshold",
                        rules::DEFAULT_RECOVERY,
                        rules::within(&rules::THRESHOLDS, ""),
                    )
                    .unwrap_or_default(),
                timeout_ms: self
                    .or("timeout_ms", rules::default_timeout_ms(interval), |ms| {
                        rules::timeout(interval, ms)
                    })
                    .unwrap_or_default(),
                webhook_url: self.optional("webhook_url", web_address),
                enabled: self.or("enabled", true, Ok).unwrap_or_default(),
                tags: self.or("tags", Vec::new(), rules::tags).unwrap_or_default(),
                regions: self
                    .or("regions", vec![Region::DEFAULT.to_owned()], rules::regions)
                    .unwrap_or_default(),
                depends_on: self.optional("depends_on", rules::depends_on).unwrap_or_default(),
            },
            webhook_secret: self.optional("webhook_secret", rules::webhook_secret),
        };
        self.refuse_what_is_not_asked(&draft.config.probe);
        self.refuse_what_takes_too_long(&draft.config);
        for (name, _) in std::mem::take(&mut self.fields) {
            self.errors.push(error(&format!("/{}", escape(&name)), "is not a field of a check"));
        }
        self.errors.is_empty().then_some(draft)
    }

    fn probe(&mut self) -> ProbeSpec {
        let url = self.required("url", rules::url).unwrap_or_default();
        let bare = ProbeSpec::at(url);
        ProbeSpec {
            method: self.or("method", bare.method.clone(), rules::method).unwrap_or_default(),
            expected_status: self.optional("expected_status", rules::expected_status),
            max_body_bytes: self
                .optional("max_body_bytes", rules::within(&rules::BODY_BYTES, " (1 MiB)")),
            max_redirects: self
                .or("max_redirects", 0, rules::within(&rules::REDIRECTS, ""))
                .unwrap_or_default(),
            http_version: self.optional("http_version", rules::http_version).unwrap_or_default(),
            headers: self.or("headers", BTreeMap::new(), rules::headers).unwrap_or_default(),
            body: self.optional("body", rules::body),
            json: self.optional("json", request_body::json),
            form: self.optional("form", request_body::form),
            cache_busting: self.or("cache_busting", false, Ok).unwrap_or_default(),
            send: self.optional("send", rules::body),
            expect: self.optional("expect", rules::expect),
            auth: self.optional("auth", rules::auth),
            ip_family: self.optional("ip_family", rules::ip_family).unwrap_or_default(),
            addresses: self.optional("addresses", rules::addresses).unwrap_or_default(),
            resolver: self.optional("resolver", rules::resolver),
            tls: self.optional("tls", |tls: TlsOptions| tls.checked()).map(Box::new),
            proxy: self.optional("proxy", Proxy::read).map(Box::new),
            assertions: self.assertions(),
            upside_down: self.or("upside_down", false, Ok).unwrap_or_default(),
            retry: self.optional("retry", rules::retry),
            ..bare
        }
    }

    fn assertions(&mut self) -> Vec<Assertion> {
        let list = self.fields.remove("assertions").filter(|list| !list.is_null());
        let read = match list {
            None => Ok(Vec::new()),
            Some(list) if holds_nul(&list) => {
                Err(vec![error("/assertions", "must not contain the character U+0000")])
            }
            Some(list) => Assertion::read_all(&list, "/assertions"),
        };
        read.unwrap_or_else(|errors| {
            self.errors.extend(errors);
            Vec::new()
        })
    }

    /// References to secrets are whole, not too many, and only where nobody is shown what they stand for.
    fn look_for_secrets(&mut self) {
        let mut left = MOST_REFERENCES;
        for (name, value) in &self.fields {
            let refusal = if secret::FIELDS.contains(&name.as_str()) {
                take_references(value, &mut left).err()
            } else {
                mentions_secret(value).then(|| {
                    "must not refer to a secret: it is shown and logged; the values of headers, and body, json, form, send, auth, proxy and the key of tls may".to_owned()
                })
            };
            self.errors.extend(refusal.map(|it| error(&format!("/{}", escape(name)), &it)));
        }
    }

    /// All looks of a run, and the waits between them, end before the next run begins.
    fn refuse_what_takes_too_long(&mut self, config: &CheckConfig) {
        let limit = i64::from(config.run_limit_ms());
        if config.probe.retry.is_some() && limit >= config.interval_ms() {
            let told = format!(
                "must let one run end before the next begins: looks and waits may take {limit} ms of the interval's {}",
                config.interval_ms()
            );
            self.errors.push(error("/retry", &told));
        }
    }

    /// What means nothing to a kind may not be set: it would be a promise that nobody keeps.
    fn refuse_what_is_not_asked(&mut self, probe: &ProbeSpec) {
        let Ok(Target { scheme, .. }) = Target::parse(&probe.url) else {
            return;
        };
        let Ok(Value::Object(set)) = serde_json::to_value(probe) else {
            return;
        };
        let takes = |field: &str| match field {
            "url" => true,
            "tls" => scheme.may_use_tls(),
            field => {
                (scheme.is_looked_at() && COMMON.contains(&field))
                    || scheme.takes().contains(&field)
            }
        };
        for field in set.keys().filter(|field| !takes(field)) {
            let refusal = match Scheme::taking(field).as_str() {
                "" => format!("means nothing for {scheme}"),
                kinds => format!("is for {kinds} only"),
            };
            self.errors.push(error(&format!("/{field}"), &refusal));
        }
        if let Err((field, detail)) = particulars::check_spec(scheme, probe) {
            self.errors.push(error(&format!("/{field}"), &detail));
        }
    }

    fn finish(self, draft: Option<CheckDraft>) -> Result<CheckDraft, Vec<FieldError>> {
        draft.ok_or(self.errors)
    }

    fn required<T: DeserializeOwned, U>(
        &mut self,
        name: &str,
        rule: impl Fn(T) -> Result<U, String>,
    ) -> Option<U> {
        let missing = self.fields.get(name).is_none_or(Value::is_null);
        if missing {
            self.fields.remove(name);
            self.errors.push(error(&format!("/{name}"), "is required"));
            return None;
        }
        self.optional(name, rule)
    }

    fn or<T: DeserializeOwned, U>(
        &mut self,
        name: &str,
        default: T,
        rule: impl Fn(T) -> Result<U, String>,
    ) -> Option<U> {
        if self.fields.get(name).is_none_or(Value::is_null) {
            self.fields.remove(name);
            return rule(default).ok();
        }
        self.optional(name, rule)
    }

    /// The field's value; `None` when it is absent, `null` or at fault.
    fn optional<T: DeserializeOwned, U>(
        &mut self,
        name: &str,
        rule: impl Fn(T) -> Result<U, String>,
    ) -> Option<U> {
        let value = self.fields.remove(name).filter(|value| !value.is_null())?;
        let checked = if holds_nul(&value) {
            Err("must not contain the character U+0000".to_owned())
        } else {
            serde_json::from_value(value).map_err(|wrong| plain(&wrong)).and_then(rule)
        };
        checked.map_err(|detail| self.errors.push(error(&format!("/{name}"), &detail))).ok()
    }
}

fn holds_nul(value: &Value) -> bool {
    any_text(value, |text| text.contains('\0'))
}

fn mentions_secret(value: &Value) -> bool {
    any_text(value, secret::mentions)
}

/// Whether it is so of any text in it, names of fields among them.
fn any_text(value: &Value, is_so: fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is_so(text),
        Value::Array(items) => items.iter().any(|item| any_text(item, is_so)),
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| is_so(name) || any_text(value, is_so))
        }
        _ => false,
    }
}

/// Takes as many of those `left` as there are references to secrets.
fn take_references(value: &Value, left: &mut usize) -> Result<(), String> {
    match value {
        Value::String(text) => {
            *left = left.checked_sub(secret::count(text)?).ok_or_else(|| {
                format!("must not refer to secrets more than {MOST_REFERENCES} times in all")
            })?;
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(|item| take_references(item, left)),
        Value::Object(fields) => fields.values().try_for_each(|it| take_references(it, left)),
        _ => Ok(()),
    }
}

/// What the parser says, in words for people who do not know its types.
fn plain(wrong: &serde_json::Error) -> String {
    let told = wrong.to_string();
    let told = ["expected u32", "expected u16", "expected u8"]
        .into_iter()
        .fold(told, |told, type_name| told.replace(type_name, "expected a whole number"));
    format!("has the wrong type or size: {told}")
}

fn escape(name: &str) -> String {
    super::super::text::tame(name, 100).replace('~', "~0").replace('/', "~1")
}

fn error(pointer: &str, detail: &str) -> FieldError {
    FieldError { pointer: pointer.to_owned(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests;
