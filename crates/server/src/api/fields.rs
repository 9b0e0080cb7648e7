//! Reads a small body field by field; whatever is wrong with any of them is told at once.

use pulse_core::models::check::FieldError;
use pulse_core::models::text;
use serde_json::{Map, Value};

/// The fields of a JSON object that have not been read yet, and what was wrong with the others.
pub struct Fields {
    left: Map<String, Value>,
    faults: Vec<FieldError>,
}

impl Fields {
    /// Of a body that must be an object; `null` is no value.
    pub fn of(body: Value) -> Result<Self, Vec<FieldError>> {
        let Value::Object(mut left) = body else {
            return Err(vec![fault(String::new(), "must be a JSON object")]);
        };
        left.retain(|_, value| !value.is_null());
        Ok(Self { left, faults: Vec::new() })
    }

    /// A text that may be left out; `None` where it is, and where it is at fault.
    pub fn text<T>(
        &mut self,
        name: &str,
        rule: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let read = match self.left.remove(name)? {
            Value::String(text) => rule(&text),
            _ => Err("must be a text".to_owned()),
        };
        read.map_err(|why| self.faults.push(fault(format!("/{name}"), why))).ok()
    }

    /// A text that must be there; any value where it is at fault, for the body is refused anyway.
    pub fn needed<T: Default>(
        &mut self,
        name: &str,
        rule: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        if !self.left.contains_key(name) {
            self.faults.push(fault(format!("/{name}"), "is required"));
        }
        self.text(name, rule).unwrap_or_default()
    }

    /// A list of at most so many texts, none when left out.
    pub fn texts(
        &mut self,
        name: &str,
        most: usize,
        rule: impl Fn(&str) -> Result<String, String>,
    ) -> Vec<String> {
        let all = match self.left.remove(name) {
            None => return Vec::new(),
            Some(Value::Array(all)) if all.len() <= most => all,
            Some(_) => {
                let why = format!("must be a list of at most {most} texts");
                self.faults.push(fault(format!("/{name}"), why));
                return Vec::new();
            }
        };
        let mut read = Vec::new();
        for (place, value) in all.iter().enumerate() {
            let text = value.as_str().ok_or_else(|| "must be a text".to_owned());
            match text.and_then(&rule) {
                Ok(text) => read.push(text),
                Err(why) => self.faults.push(fault(format!("/{name}/{place}"), why)),
            }
        }
        read.sort();
        read.dedup();
        read
    }

    /// What was read, unless something is wrong or left over.
    pub fn finish<T>(mut self, read: T) -> Result<T, Vec<FieldError>> {
        for name in self.left.keys() {
            let name = text::tame_line(name, 100).replace('~', "~0").replace('/', "~1");
            self.faults.push(fault(format!("/{name}"), "is not a field here"));
        }
        if self.faults.is_empty() { Ok(read) } else { Err(self.faults) }
    }
}

fn fault(pointer: String, detail: impl Into<String>) -> FieldError {
    FieldError { pointer, detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let any = |text: &str| Ok::<_, String>(text.to_owned());
        let mut fields =
            Fields::of(json!({"a": 1, "b": "x", "c": ["y", 2], "d/e": true, "f": null})).unwrap();

        let read = (fields.text("a", any), fields.text("b", any), fields.needed("g", any));
        let list = fields.texts("c", 2, any);

        assert_eq!(read, (None, Some("x".into()), String::new()));
        assert_eq!(list, ["y"]);
        let faults = fields.finish(()).unwrap_err();
        let pointers: Vec<_> = faults.iter().map(|it| it.pointer.as_str()).collect();
        assert_eq!(pointers, ["/a", "/g", "/c/1", "/d~1e"]);
        assert!(Fields::of(json!([])).is_err());
    }
}
