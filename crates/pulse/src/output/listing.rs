//! Rows of columns.

use comfy_table::{
    Attribute, Color, ColumnConstraint, ContentArrangement, Table, presets::UTF8_FULL_CONDENSED,
};

use super::cell::{Cell, Tone};
use super::style::Style;

/// A terminal of this width has room for the columns that are seldom needed, and for whole ids.
const ROOMY: u16 = 140;
const ROOM_FOR_IDS: u16 = 100;
const ID: usize = 36;

/// Where a column is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum In {
    /// Everywhere.
    Both,
    /// For eyes only.
    Tables,
    /// For programs only.
    Lines,
    /// For programs, and for eyes when the terminal is wide.
    Roomy,
}

/// A column of a list.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its header in a table.
    pub title: &'static str,
    /// Where it is shown.
    pub shown: In,
    /// How wide it is in a list that goes on, in characters. 0 for one whose text may be long: there
    /// it is the last, and a table breaks it over lines.
    pub width: usize,
}

impl Column {
    /// A column that is shown everywhere.
    pub const fn new(title: &'static str, width: usize) -> Self {
        Self { title, shown: In::Both, width }
    }

    /// A column that is shown there only.
    pub const fn only(shown: In, title: &'static str, width: usize) -> Self {
        Self { title, shown, width }
    }

    /// Words and ids are not broken over lines, unless there is no room for anything else.
    const fn stays_whole(self, terminal: u16) -> bool {
        self.width > 0 && (self.width < ID || terminal >= ROOM_FOR_IDS)
    }
}

/// Rows of one shape.
#[derive(Debug)]
pub struct Listing {
    columns: &'static [Column],
    rows: Vec<Vec<Cell>>,
    nothing: &'static str,
}

impl Listing {
    /// Rows with a cell for each of `columns`; on a terminal `nothing` stands for an empty list.
    pub fn new(columns: &'static [Column], rows: Vec<Vec<Cell>>, nothing: &'static str) -> Self {
        Self { columns, rows, nothing }
    }

    /// All of it.
    pub fn render(&self, style: Style) -> String {
        match style.width {
            None => self.lines(style),
            Some(_) if self.rows.is_empty() => format!("{}\n", self.nothing),
            Some(width) => self.table(width, style),
        }
    }

    /// The rows alone, each a line: aligned for eyes, with tabs for programs.
    pub fn lines(&self, style: Style) -> String {
        self.rows.iter().map(|row| self.line(row, style) + "\n").collect()
    }

    fn line(&self, row: &[Cell], style: Style) -> String {
        let shown = self.shown(row, style);
        let line: Vec<_> = if style.is_for_eyes() {
            shown.map(|(column, cell)| padded(cell, column.width, style)).collect()
        } else {
            shown.map(|(_, cell)| style.paint(cell, &cell.text)).collect()
        };
        line.join(if style.is_for_eyes() { "  " } else { "\t" }).trim_end_matches(' ').to_owned()
    }

    fn table(&self, width: u16, style: Style) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width);
        if style.colours {
            table.enforce_styling();
        }
        let titles = self.columns.iter().filter(|column| is_shown(column, style));
        table.set_header(titles.map(|column| column.title));
        for row in &self.rows {
            table.add_row(self.shown(row, style).map(|(_, cell)| drawn(cell, style)));
        }
        let shown = self.columns.iter().filter(|column| is_shown(column, style)).enumerate();
        for (n, _) in shown.filter(|(_, column)| column.stays_whole(width)) {
            if let Some(column) = table.column_mut(n) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        format!("{table}\n")
    }

    fn shown<'a>(
        &'a self,
        row: &'a [Cell],
        style: Style,
    ) -> impl Iterator<Item = (&'a Column, &'a Cell)> {
        self.columns.iter().zip(row).filter(move |(column, _)| is_shown(column, style))
    }
}

/// Named values of one item: in columns for eyes, with a tab for programs.
pub fn fields(fields: &[(&str, Cell)], style: Style) -> String {
    let widest = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let line = |(name, cell): &(&str, Cell)| {
        let value = style.paint(cell, &cell.text);
        if style.is_for_eyes() {
            format!("{}  {value}\n", padded(&Cell::quiet(name), widest, style))
        } else {
            format!("{name}\t{value}\n")
        }
    };
    fields.iter().map(line).collect()
}

fn is_shown(column: &Column, style: Style) -> bool {
    match column.shown {
        In::Both => true,
        In::Tables => style.is_for_eyes(),
        In::Lines => !style.is_for_eyes(),
        In::Roomy => style.width.is_none_or(|width| width >= ROOMY),
    }
}

/// Padded outside of the colour: escape sequences have no width.
fn padded(cell: &Cell, width: usize, style: Style) -> String {
    let missing = width.saturating_sub(cell.text.chars().count());
    style.paint(cell, &cell.text) + &" ".repeat(missing)
}

fn drawn(cell: &Cell, style: Style) -> comfy_table::Cell {
    let drawn = comfy_table::Cell::new(&cell.text);
    match cell.tone {
        _ if !style.colours => drawn,
        Tone::Plain => drawn,
        Tone::Good => drawn.fg(Color::DarkGreen),
        Tone::Bad => drawn.fg(Color::DarkRed),
        Tone::Doubtful => drawn.fg(Color::DarkYellow),
        Tone::Quiet => drawn.add_attribute(Attribute::Dim),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[
        Column::new("STATUS", 8),
        Column::only(In::Roomy, "VERSION", 7),
        Column::only(In::Tables, "SINCE", 4),
        Column::new("NAME", 0),
    ];
    const FOR_PROGRAMS: Style = Style { width: None, colours: false };
    const FOR_EYES: Style = Style { width: Some(80), colours: false };

    fn listing() -> Listing {
        let row = |status: &str, name: &str| {
            vec![Cell::word(status), Cell::of(7), Cell::of("1m"), Cell::of(name)]
        };
        Listing::new(COLUMNS, vec![row("up", "Shop"), row("down", "")], "No checks.")
    }

    #[test]
    fn programs_get_lines_with_tabs_and_nothing_else() {
        assert_eq!(listing().render(FOR_PROGRAMS), "up\t7\tShop\ndown\t7\t-\n");
        assert_eq!(Listing::new(COLUMNS, Vec::new(), "No checks.").render(FOR_PROGRAMS), "");
    }

    #[test]
    fn eyes_get_a_table_with_its_own_columns() {
        let expected = "\
┌────────┬───────┬──────┐
│ STATUS ┆ SINCE ┆ NAME │
╞════════╪═══════╪══════╡
│ up     ┆ 1m    ┆ Shop │
│ down   ┆ 1m    ┆ -    │
└────────┴───────┴──────┘
";
        assert_eq!(listing().render(FOR_EYES), expected);
        let roomy = listing().render(Style { width: Some(ROOMY), colours: false });
        assert!(roomy.contains("VERSION"), "{roomy}");
        assert_eq!(listing().lines(FOR_EYES), "up        1m    Shop\ndown      1m    -\n");
        let nothing = Listing::new(COLUMNS, Vec::new(), "No checks.");
        assert_eq!(nothing.render(FOR_EYES), "No checks.\n");
    }

    #[test]
    fn a_table_fits_its_terminal_and_breaks_long_texts_first() {
        const IDS: &[Column] = &[Column::new("ID", ID), Column::new("NAME", 0)];
        let row = vec![Cell::of("i".repeat(ID)), Cell::of("n".repeat(100))];
        let listing = Listing::new(IDS, vec![row], "Nothing.");

        for width in [60, 80, 100, 120] {
            let table = listing.render(Style { width: Some(width), colours: false });
            let widest = table.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width.into(), "{table}");
            assert!(table.contains(&"i".repeat(ID)) || width < ROOM_FOR_IDS, "{table}");
        }
    }

    #[test]
    fn only_status_words_are_coloured() {
        let painted = listing().lines(Style { width: None, colours: true });

        assert_eq!(painted, "\u{1b}[32mup\u{1b}[0m\t7\tShop\n\u{1b}[31mdown\u{1b}[0m\t7\t-\n");
        let drawn = listing().render(Style { width: Some(80), colours: true });
        assert!(drawn.contains("\u{1b}[38;5;2m up"), "{drawn:?}");
    }

    #[test]
    fn fields_are_named() {
        let about = [("name", Cell::of("Shop")), ("status", Cell::word("up"))];

        assert_eq!(fields(&about, FOR_PROGRAMS), "name\tShop\nstatus\tup\n");
        assert_eq!(fields(&about, FOR_EYES), "name    Shop\nstatus  up\n");
    }
}
