//! What is inside a token, without a look at its signature, which only Courier can check.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    Code, Finding,
    Severity::{Error, Warning},
};

pub(super) type Claims = Map<String, Value>;

/// The claims, as far as there are any, and what is wrong with the parts of the token.
pub(super) fn read(token: &str, findings: &mut Vec<Finding>) -> Option<Claims> {
    let segments: Vec<&str> = token.split('.').collect();
    let &[header, payload, ref rest @ ..] = segments.as_slice() else {
        findings.push(not_a_jwt(
            "it has no dots, where a JWT has three parts with dots between them",
        ));
        return None;
    };
    let header = decode(header);
    let Some(claims) = decode(payload) else {
        let half = header.is_some() && rest.is_empty();
        findings.push(if half {
            truncated("ends within its second part")
        } else {
            not_a_jwt("its second part is not base64url of a JSON object")
        });
        return None;
    };
    let algorithm = header
        .as_ref()
        .and_then(|header| header.get("alg")?.as_str());
    match (algorithm, rest) {
        (None, _) => {
            findings.push(not_a_jwt("its first part does not name an algorithm"));
        }
        (Some(_), [] | [""]) => findings.push(truncated("has no signature")),
        (Some(_), [_, _, ..]) => {
            findings.push(not_a_jwt("it has more than three parts"));
        }
        (Some(algorithm), [signature]) => check_signature(algorithm, signature, findings),
    }
    Some(claims)
}

fn check_signature(algorithm: &str, signature: &str, findings: &mut Vec<Finding>) {
    if algorithm != "HS256" {
        findings.push(Finding::new(
            Warning,
            Code::UnusualAlgorithm,
            "It is not signed with HS256, as Courier's tokens are: is it a token of Courier's?",
        ));
        return;
    }
    let bytes = URL_SAFE_NO_PAD.decode(signature);
    if bytes.is_ok_and(|bytes| bytes.len() == HS256_BYTES) {
        return;
    }
    findings.push(if signature.len() < HS256_CHARS {
        truncated("has only a part of its signature")
    } else {
        Finding::new(
            Error,
            Code::NotAJwt,
            "The signature is not one of HS256: something was copied along with the token, or a \
             part of it was changed.",
        )
    });
}

/// Who else may have issued it.
pub(super) fn check_issuer(claims: &Claims, findings: &mut Vec<Finding>) {
    let foreign = ["iss", "aud", "sub"]
        .iter()
        .filter(|name| claims.contains_key(**name));
    let foreign: Vec<_> = foreign.map(|name| format!("`{name}`")).collect();
    if foreign.is_empty() {
        return;
    }
    let names = foreign.join(", ");
    findings.push(Finding::new(
        if claims.contains_key("scope") {
            Warning
        } else {
            Error
        },
        Code::NotFromCourier,
        format!(
            "It has {names}, which Courier's tokens have not: this seems to be the token of \
             another service, of your own login perhaps."
        ),
    ));
}

fn decode(segment: &str) -> Option<Claims> {
    let bytes = URL_SAFE_NO_PAD.decode(segment).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn not_a_jwt(why: &str) -> Finding {
    Finding::new(
        Error,
        Code::NotAJwt,
        format!("This is no JWT, as Courier's tokens are: {why}. See that it was copied whole."),
    )
}

fn truncated(how: &str) -> Finding {
    Finding::new(
        Error,
        Code::Truncated,
        format!(
            "The token {how}: only a part of it was copied, or a field is too short for it. \
             Courier answers 401."
        ),
    )
}

const HS256_BYTES: usize = 32;
const HS256_CHARS: usize = 43;
