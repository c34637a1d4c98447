//! How things look on a terminal.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};
use courier_auth_core::inspect::{Finding, Severity};
use serde_json::Value;

/// A mark and the style it comes in.
pub(crate) fn mark(severity: Option<Severity>) -> (&'static str, Style) {
    match severity {
        None => ("✓", GOOD),
        Some(Severity::Error) => ("✗", BAD),
        Some(Severity::Warning) => ("!", WARN),
        Some(_) => ("·", HINT),
    }
}

pub(crate) fn finding(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let (mark, style) = mark(Some(finding.severity));
    writeln!(out, "  {style}{mark} {}{style:#}", finding.code)?;
    paragraph(out, "    ", &finding.message)
}

/// Text in lines that are short enough to read, each after `indent`.
pub(crate) fn paragraph(out: &mut impl Write, indent: &str, text: &str) -> io::Result<()> {
    let mut line = String::new();
    for word in text.split(' ') {
        let longer = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && indent.len() + longer > WIDTH {
            writeln!(out, "{indent}{line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "{indent}{line}")
}

/// Whoever reads may have seen enough, as `head` has: what was found stands.
pub(crate) fn seen(printed: io::Result<()>) -> io::Result<()> {
    match printed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// A text from outside without what a terminal would obey.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) {
            plain.extend(c.escape_debug());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// JSON in which a terminal finds nothing to obey either: serializers escape less than that.
pub(crate) fn json(value: &Value) -> String {
    let mut json = String::new();
    for c in format!("{value:#}").chars() {
        // The line breaks of the layout; those in a string are escaped.
        if c == '\n' || !is_obeyed(c) {
            json.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing into a string does not fail.
            let _written = write!(json, "\\u{unit:04x}");
        }
    }
    json
}

fn is_obeyed(c: char) -> bool {
    c.is_control() || c.escape_debug().len() > 2
}

pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
const WIDTH: usize = 88;

#[cfg(test)]
mod tests {
    use super::{paragraph, plain};

    #[test]
    fn a_paragraph_keeps_its_words_and_its_width() {
        let text = "word ".repeat(40) + &"x".repeat(200);
        let mut out = Vec::new();
        paragraph(&mut out, "    ", &text).expect("a vector takes all");
        let out = String::from_utf8(out).expect("text");
        assert!(out.lines().all(|line| line.starts_with("    ")));
        let long = out.lines().filter(|line| line.len() > 88);
        assert_eq!(long.count(), 1, "only the word that is too long itself");
        let words: Vec<_> = out.split_whitespace().collect();
        assert_eq!(words, text.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn a_terminal_obeys_nothing_from_outside() {
        assert_eq!(plain("a\u{1b}[31m\nb\u{202e}"), r"a\u{1b}[31m\nb\u{202e}");
        assert_eq!(plain(r#"o'neill "x" ü 田"#), r#"o'neill "x" ü 田"#);
    }
}
