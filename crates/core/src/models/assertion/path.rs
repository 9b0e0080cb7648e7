//! Paths into JSON, bounded before they are parsed.
//!
//! A path is asked of whatever a target answers, so neither to parse nor to follow one may take more
//! than about linear time and memory. Parsing takes twice the time for each filter that stands in
//! another, and brackets that choose twice what they choose multiply what is found.

use serde_json_path::JsonPath;

const MOST_DESCENTS: usize = 1;
const MOST_ROOTS: usize = 1;
/// Each doubles the time to parse what is in it: with three it is milliseconds for the longest path.
const MOST_NESTED_FILTERS: usize = 3;
const MOST_NESTED_PARENTHESES: usize = 8;
/// So many comparisons at most are made with each value.
const MOST_JOINTS: usize = 16;
/// Of a body of a megabyte, so many times half a million values.
const MOST_CHOICES: usize = 16;

/// Parses a path that is within bounds.
///
/// # Errors
/// What is wrong with it, for the person who wrote it.
pub(super) fn parse(text: &str) -> Result<JsonPath, String> {
    Shape::of(text)
        .within_bounds()
        .map_err(|bound| format!("must have a JSONPath with {bound}"))?;
    JsonPath::parse(text).map_err(|error| format!("must have a JSONPath: {error}"))
}

/// What of a path costs time, or memory.
#[derive(Debug, Default, PartialEq)]
struct Shape {
    /// `$`: where a filter begins at the root again, it does so for every value.
    roots: usize,
    /// `..`: one within another takes more than linear time.
    descents: usize,
    /// `&&` and `||`.
    joints: usize,
    /// As deep as they stand in one another.
    filters: usize,
    parentheses: usize,
    /// The product of what stands in each pair of brackets; a value may be found as often.
    choices: usize,
}

/// What is open at a place of a path.
enum Open {
    Parenthesis,
    Bracket { choices: usize, is_filter: bool },
}

impl Shape {
    /// Never less than what the path is, if it is one; text in quotation marks is passed over.
    fn of(text: &str) -> Self {
        let mut shape = Self { choices: 1, ..Self::default() };
        let mut open: Vec<Open> = Vec::new();
        let (mut bytes, mut before) = (text.bytes(), None);
        while let Some(byte) = bytes.next() {
            let is_pair = before == Some(byte);
            before = (!is_pair).then_some(byte);
            match byte {
                b'\'' | b'"' => pass_over(&mut bytes, byte),
                b'.' if is_pair => shape.descents += 1,
                b'&' | b'|' if is_pair => shape.joints += 1,
                b'$' => shape.roots += 1,
                _ => shape.nest(byte, &mut open),
            }
        }
        shape
    }

    fn nest(&mut self, byte: u8, open: &mut Vec<Open>) {
        match (byte, open.last_mut()) {
            (b'[', _) => open.push(Open::Bracket { choices: 1, is_filter: false }),
            (b'(', _) => open.push(Open::Parenthesis),
            (b'?', Some(Open::Bracket { is_filter, .. })) => *is_filter = true,
            (b',', Some(Open::Bracket { choices, .. })) => *choices += 1,
            (b']', Some(Open::Bracket { choices, .. })) => {
                self.choices = self.choices.saturating_mul(*choices);
                open.pop();
            }
            (b')', Some(Open::Parenthesis)) => drop(open.pop()),
            _ => return,
        }
        let filters = open.iter().filter(|it| matches!(it, Open::Bracket { is_filter: true, .. }));
        self.filters = self.filters.max(filters.count());
        let parentheses = open.iter().filter(|it| matches!(it, Open::Parenthesis));
        self.parentheses = self.parentheses.max(parentheses.count());
    }

    /// The first bound that is passed.
    fn within_bounds(&self) -> Result<(), String> {
        let Self { roots, descents, joints, filters, parentheses, choices } = *self;
        if descents > MOST_DESCENTS || roots > MOST_ROOTS {
            Err("at most one `..`, and no `$` but the first".to_owned())
        } else if filters > MOST_NESTED_FILTERS {
            Err(format!("filters at most {MOST_NESTED_FILTERS} deep"))
        } else if parentheses > MOST_NESTED_PARENTHESES {
            Err(format!("parentheses at most {MOST_NESTED_PARENTHESES} deep"))
        } else if joints > MOST_JOINTS {
            Err(format!("at most {MOST_JOINTS} of `&&` and `||`"))
        } else if choices > MOST_CHOICES {
            Err(format!("brackets that choose at most {MOST_CHOICES} times all in all"))
        } else {
            Ok(())
        }
    }
}

/// To the end of what is in quotation marks.
fn pass_over(bytes: &mut std::str::Bytes<'_>, quote: u8) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            byte if byte == quote => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const LONGEST: usize = 1_024;
    /// Some fifty times what the slowest takes on a machine at rest.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// As long as a path may be: `open` as often as there is room, and `close` as often.
    fn nested(open: &str, inner: &str, close: &str) -> String {
        let times = (LONGEST - inner.len() - 4) / (open.len() + close.len());
        format!("$[?{}{inner}{}]", open.repeat(times), close.repeat(times))
    }

    /// As long as a path may be, with `inner` in as many filters as may be, and filled up.
    fn deepest(inner: &str, fill: &str) -> String {
        let close = "]".repeat(MOST_NESTED_FILTERS);
        let open = format!("${}[?{inner}", "[?@".repeat(MOST_NESTED_FILTERS - 1));
        let times = (LONGEST - open.len() - close.len()) / fill.len();
        format!("{open}{}{close}", fill.repeat(times))
    }

    fn chained(first: &str, link: &str) -> String {
        let times = (LONGEST - first.len() - 1) / link.len();
        format!("{first}{}", link.repeat(times))
    }

    #[test]
    fn ordinary_paths_are_paths() {
        for text in [
            "$",
            "$.items[?@.state != 'up']",
            "$['a','b','c','d','e','f','g','h']",
            "$..state",
            "$['$','..','a,b(','it\\'s [?']",
            "$[?(@.a == 1 && (@.b == '||' || !(@.c))) || length(@.d) > 2][0,1].x[::2]",
            "$[?@.groups[?@.hosts[?@.up == false]]]",
            "$[?count(@['a','b']) == 2]['a','b']",
        ] {
            assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn a_path_that_costs_too_much_is_refused_in_words() {
        for (text, reason) in [
            ("$..a..b".to_owned(), "at most one `..`"),
            ("$[?@.a == $.b]".to_owned(), "no `$` but the first"),
            ("$[?@[?@[?@[?@.a]]]]".to_owned(), "filters at most 3 deep"),
            ("$[?count(@[?count(@[?(@[?@.a])])])]".to_owned(), "filters at most 3 deep"),
            (nested("(", "@.a", ")"), "parentheses at most 8 deep"),
            (nested("length(", "@.a", ")"), "parentheses at most 8 deep"),
            (chained("$[?@.a", "&&@.a"), "at most 16 of `&&` and `||`"),
            (chained("$[?@.a", "||@.a"), "at most 16 of `&&` and `||`"),
            (chained("$", "[0,0]"), "choose at most 16 times"),
            (chained("$", "[*,*]"), "choose at most 16 times"),
            (format!("$[{}]", ["0"; 17].join(",")), "choose at most 16 times"),
            ("$[?@[*,*][*,*]][*,*][?@.a,?@.b,?@.c]".to_owned(), "choose at most 16 times"),
            ("$['it\\'s', '][*,*][*,*][*,*][*,*][*,*]".to_owned(), "must have a JSONPath: "),
            ("$[\"\\\"\",*][*,*][*,*][*,*][*,*]".to_owned(), "choose at most 16 times"),
        ] {
            let told = parse(&text).unwrap_err();
            assert!(told.contains(reason), "{text}: {told}");
        }
    }

    #[test]
    fn no_path_takes_long_to_parse_or_to_refuse() {
        let paths = [
            nested("@[?", "@.a", "]"),
            nested("@[?", "@.a==", "]"),
            nested("(", "@.a", ")"),
            nested("(", "@.a=", ""),
            nested("!", "@.a", ""),
            nested("!(", "@.a", ")"),
            nested("length(", "@.a", ")==1"),
            nested("count(@[?", "@.a", "])==1"),
            chained("$[?@.a", "&&@.a"),
            chained("$[?@.a", "[?@]"),
            chained("$", "[?@[?@[?@.a]]]"),
            chained("$", "[?@[?@[?count(@.a)]]]"),
            chained("$[?@[?@[?@.a", "[0]"),
            chained("$[?@[?@[?@", " "),
            chained("$", "["),
            deepest("@.a", "[0]"),
            deepest("@.a==", "[0]"),
            deepest(&format!("{}@.a", "@.a=='b'&&".repeat(MOST_JOINTS)), "[0]"),
            deepest("count(@.a)>1||count(value(count(value(@.b))))>count(@.c", "[0]"),
        ];

        for text in paths {
            let began = Instant::now();
            let told = parse(&text).map(drop);
            let took = began.elapsed();
            assert!(text.len() <= LONGEST && took < PATIENCE, "{took:?} for {text}: {told:?}");
        }
    }
}
