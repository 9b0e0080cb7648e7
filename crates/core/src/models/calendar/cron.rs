//! Cron expressions, read one way wherever they may be.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

const LONGEST: usize = 100;
const FIELDS: usize = 5;

/// Reads five fields: minute, hour, day of the month, month, day of the week.
///
/// # Errors
/// What it must be, to follow "must be a".
pub fn read(text: &str) -> Result<Cron, String> {
    let is_five = text.split_ascii_whitespace().count() == FIELDS;
    if !is_five || text.len() > LONGEST || !text.is_ascii() {
        return Err(format!(
            "cron expression of five fields (minute, hour, day of the month, month, day of the week), \
             {LONGEST} characters at most"
        ));
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed);
    parser.build().parse(text).map_err(|wrong| format!("cron expression that can be read: {wrong}"))
}
