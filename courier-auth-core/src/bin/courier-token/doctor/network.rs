//! The way to Courier, and the clock at its end.

use std::{
    error::Error as _,
    io,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use courier_auth_core::{CourierClient, Error, ErrorKind, Probe};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;
use tokio::{
    net::lookup_host,
    time::{Instant, timeout},
};

use super::check::{Check, Checks};
use crate::{
    failure::{UNREACHABLE, WRONG, chain},
    loopback::is_loopback,
};

/// How Courier was reached, if it was.
pub(super) async fn check(
    client: &CourierClient,
    checks: &mut Checks,
) -> io::Result<Option<Probe>> {
    let url = Url::parse(client.base_url()).map_err(io::Error::other)?;
    let proxy = proxy(&url);
    let dns = resolve(&url, proxy.as_deref()).await;
    let failed = dns.is_failed();
    checks.add(dns)?;
    if failed {
        return Ok(None);
    }
    match client.probe().await {
        Ok(probe) => {
            checks.add(reached(&probe))?;
            checks.add(clock(&probe))?;
            Ok(Some(probe))
        }
        Err(error) => {
            checks.add(unreachable(&error, proxy.is_some()))?;
            Ok(None)
        }
    }
}

/// What time it is for Courier.
pub(super) fn couriers_time(probe: &Probe) -> SystemTime {
    let ahead = probe.clock_ahead.unwrap_or_default();
    let off = Duration::from_secs(ahead.unsigned_abs());
    let now = SystemTime::now();
    let there = match ahead {
        ..0 => now.checked_sub(off),
        _ => now.checked_add(off),
    };
    there.unwrap_or(now)
}

async fn resolve(url: &Url, proxy: Option<&str>) -> Check {
    if let Some(proxy) = proxy {
        return Check::skipped("dns", format!("left to the proxy {proxy}"));
    }
    let Some(host) = url.domain() else {
        return Check::good("dns", "not needed");
    };
    let port = url.port_or_known_default().unwrap_or_default();
    let failed = |why: String| {
        Check::failed(
            "dns",
            "dns-failed",
            UNREACHABLE,
            format!("The name {host} cannot be resolved: {why}."),
        )
        .help("See that the base URL is spelt right and that this machine is online.")
        .help(
            "If it gets out through a proxy only, see HTTPS_PROXY and NO_PROXY, which this tool and \
             the crate respect: they name none for this host, or not as http://proxy:port.",
        )
    };
    let begun = Instant::now();
    match timeout(DNS_TIMEOUT, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => {
            let mut addresses: Vec<_> = addresses.map(|address| address.ip()).collect();
            addresses.dedup();
            match addresses.as_slice() {
                [] => failed("it has no address".to_owned()),
                [first, more @ ..] => resolved(host, *first, more.len(), begun.elapsed()),
            }
        }
        Ok(Err(error)) => failed(error.to_string()),
        Err(_) => failed("no answer within 5 seconds".to_owned()),
    }
}

fn resolved(host: &str, first: IpAddr, more: usize, took: Duration) -> Check {
    if took > CONNECT_TIMEOUT {
        let (took, limit) = (took.as_millis(), CONNECT_TIMEOUT.as_millis());
        return Check::warning(
            "dns",
            "dns-slow",
            format!(
                "The name {host} was resolved after {took} ms. The crate gives up a connection after \
                 {limit} ms, and that is part of them."
            ),
        )
        .help(
            "See the name servers of this machine, in /etc/resolv.conf for example: the first one may \
             be gone.",
        );
    }
    match more {
        0 => Check::good("dns", format!("{host} is {first}")),
        _ => Check::good("dns", format!("{host} is {first}, and {more} more")),
    }
}

/// The host of the proxy that is asked for this URL, as the client finds it.
fn proxy(url: &Url) -> Option<String> {
    let destination = url.as_str().parse().ok()?;
    let proxy = Matcher::from_system().intercept(&destination)?;
    let host = proxy.uri().host()?.to_owned();
    (!is_loopback(url)).then_some(host)
}

fn reached(probe: &Probe) -> Check {
    let took = format!("{} ms", probe.took.as_millis());
    match probe.status {
        407 => Check::warning(
            "connection",
            "proxy-refuses",
            "The proxy asks for a user and a password (407).",
        )
        .help(PROXY_PASSWORD),
        status @ 300..=399 => Check::warning(
            "connection",
            "redirect",
            format!("The base URL redirects ({status}), which is not followed."),
        )
        .help("Give the address that it leads to, if that is Courier's; a proxy's login page perhaps?"),
        status @ 500.. => Check::warning(
            "connection",
            "server-error",
            format!("Something answers, after {took}, with an error ({status})."),
        ),
        _ => Check::good("connection", format!("answers after {took}")),
    }
}

fn unreachable(error: &Error, through_proxy: bool) -> Check {
    // Without our own words, which name the host: it may be called `proxy`.
    let source = error.source().map(chain).unwrap_or_default();
    let source = source.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| source.contains(word));
    let (name, help) = if error.kind() == ErrorKind::Timeout || says(&["timed out", "deadline"]) {
        let help = if through_proxy {
            "Nothing came back through the proxy: see its host and port in HTTPS_PROXY, or ALL_PROXY, \
             and whether the proxy allows this host."
        } else {
            "Nothing came back: a firewall that drops what it does not know, or a proxy that must be \
             named in HTTPS_PROXY."
        };
        ("timeout", help)
    } else if says(&["proxy authorization required"]) {
        ("proxy-refuses", PROXY_PASSWORD)
    } else if says(&["unsupported scheme"]) {
        (
            "proxy-failed",
            "HTTPS_PROXY, or ALL_PROXY, names a proxy of a kind that neither this tool nor the crate \
             can use, such as SOCKS: give the address of an HTTP proxy.",
        )
    } else if through_proxy && says(&["dns error", "tcp connect error"]) {
        (
            "proxy-failed",
            "The proxy itself cannot be reached: see its host and port in HTTPS_PROXY, or ALL_PROXY, \
             and that this machine is online. In a password, `@`, `:`, `/` and `#` are written as \
             %40, %3A, %2F and %23.",
        )
    } else if says(&["fatal alert"]) {
        (
            "tls-refused",
            "What answers speaks TLS and ended it: it does not know this host name, or wants other \
             than TLS 1.2 or 1.3 or a certificate from the client, which this tool and the crate do \
             not have.",
        )
    } else if says(&["not valid for name", "notvalidforname"]) {
        (
            "tls-name",
            "The certificate is for another name: see that the base URL has the host as the \
             certificate does, and that the name leads where it should.",
        )
    } else if says(&["causedasendentity"]) {
        (
            "tls-self-signed",
            "The certificate is its own authority, which is refused even if it is given with \
             --root-certificate: what shows it needs one that an authority has issued to it.",
        )
    } else if says(&["certificate"]) && says(&["expired", "not valid yet", "notvalidyet"]) {
        (
            "tls-date",
            "See that this machine's clock is right, by `date`. If it is, the certificate has to be \
             renewed by who shows it: Courier, or a proxy in between.",
        )
    } else if says(&["certificate", "unknownissuer"]) {
        (
            "tls-untrusted",
            "Somebody between here and Courier, a company's proxy most likely, shows a certificate of \
             its own: give its authority with --root-certificate, and in the app with \
             `root_certificate_pem`.",
        )
    } else if says(&["tunnel", "proxy"]) {
        (
            "proxy-failed",
            "The proxy does not let this through: see HTTPS_PROXY and NO_PROXY, and whether the proxy \
             allows this host.",
        )
    } else if says(&["refused"]) {
        (
            "connection-refused",
            "Nothing listens there: see the host and the port of the base URL, and that the emulator \
             or gateway runs.",
        )
    } else if says(&["tls", "ssl", "handshake", "corrupt message"]) {
        (
            "tls-failed",
            "What answers does not speak TLS: see the port of the base URL, and whether a proxy is in \
             between.",
        )
    } else {
        (
            "connection-failed",
            "See whether `curl -v` of the base URL gets further from this machine.",
        )
    };
    Check::failed(
        "connection",
        name,
        UNREACHABLE,
        format!("{}.", chain(error)),
    )
    .help(help)
}

fn clock(probe: &Probe) -> Check {
    let Some(ahead) = probe.clock_ahead else {
        return Check::skipped("clock", "the answer names no time");
    };
    let (off, direction) = match ahead {
        ..0 => (-ahead, "ahead of"),
        _ => (ahead, "behind"),
    };
    if off <= FINE {
        return Check::good("clock", "in step with Courier's");
    }
    let message = format!("This machine's clock is {off} s {direction} Courier's.");
    let check = if off > TOO_FAR {
        Check::failed("clock", "clock-skewed", WRONG, message)
    } else {
        Check::warning("clock", "clock-skewed", message)
    };
    check
        .help(
            "Set it by NTP (`timedatectl set-ntp true`); containers have the clock of their host.",
        )
        .help(
            "The crate measures a token's life on Courier's clock and does not mind; sessions, \
             certificates and whoever reads `expires_at` do.",
        )
}

const PROXY_PASSWORD: &str = "Put the user and the password that the proxy asks for into HTTPS_PROXY: \
     http://user:password@proxy:port";
/// The client's.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const DNS_TIMEOUT: Duration = Duration::from_secs(5);
/// Seconds; a `Date` header has no fractions, and an answer takes its time.
const FINE: i64 = 5;
/// What verifiers of tokens commonly allow for.
const TOO_FAR: i64 = 60;

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use serde_json::{Value, json};

    use super::resolved;

    /// The name was said to be well, and a firewall to be in the way of the connection.
    #[test]
    fn a_name_that_takes_longer_than_a_connection_may_is_told_of() {
        let code = |millis| {
            let took = Duration::from_millis(millis);
            let check = resolved("api.courier.com", Ipv4Addr::LOCALHOST.into(), 0, took);
            json!(check)["code"].clone()
        };
        assert_eq!(code(900), Value::Null);
        assert_eq!(code(2500), "dns-slow");
    }
}
