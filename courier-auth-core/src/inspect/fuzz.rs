//! Whatever is pasted: there is a report, and the token is not in it.
//!
//! Inputs are the files in `__fuzz__` and random ones, as in the fuzz tests of `token.rs`.

use std::time::{Duration, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bolero::check;

use super::{Inspection, Report};

/// The input is what is pasted.
#[test]
fn any_paste() {
    check!().with_iterations(INPUTS).for_each(|input| {
        let text = String::from_utf8_lossy(input);
        let report = inspect(&text);
        assert!(!report.findings.is_empty());
        let trimmed = text.trim();
        // What is short may be in there by chance.
        if trimmed.len() > 64 {
            assert!(!printed(&report).contains(trimmed));
        }
    });
}

/// The input is what a token holds.
#[test]
fn any_payload() {
    check!().with_iterations(INPUTS).for_each(|payload| {
        let token = format!(
            "eyJhbGciOiJIUzI1NiJ9.{}.{SIGNATURE}",
            URL_SAFE_NO_PAD.encode(payload)
        );
        let report = inspect(&token);
        assert!(!report.findings.is_empty());
        let printed = printed(&report);
        assert!(!printed.contains(SIGNATURE));
        // For the terminal, whatever the token says.
        for finding in &report.findings {
            assert!(!finding.message.contains(char::is_control), "{finding:?}");
            assert!(finding.message.len() < 1500, "{finding:?}");
        }
        if report.is_good() {
            assert_eq!(report.user_ids.len(), 1);
            assert!(report.expires_in.is_none_or(|left| left >= 0));
        }
    });
}

fn inspect(text: &str) -> Report {
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    Inspection::new().at(now).user("user-1").of(text)
}

fn printed(report: &Report) -> String {
    let json = serde_json::to_string(report).expect("strings and numbers");
    format!("{report:?}{json}")
}

const INPUTS: usize = 20_000;
const SIGNATURE: &str = "paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU";
