//! Where Courier is, and the API key for it.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use courier_auth_core::{CourierClient, CourierClientBuilder, Region};
use secrecy::{ExposeSecret, SecretString};

use crate::failure::Failure;

#[derive(Args)]
#[command(next_help_heading = "Courier")]
pub(crate) struct Connection {
    /// Reads the API key from a file, or from stdin if it is `-` [default: COURIER_API_KEY]
    ///
    /// There is no option for the key itself: it would stay in the history of the shell and show in
    /// the list of processes.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,

    /// Where the workspace lives [default: us]
    #[arg(long, value_parser = PossibleValuesParser::new(["us", "eu"]).try_map(|it| it.parse::<Region>()))]
    region: Option<Region>,

    /// The address of Courier's API, for an emulator or a gateway [default: COURIER_BASE_URL, or the
    /// region's]
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,

    /// Allows an http:// address that is not on this machine; the API key is sent unencrypted
    #[arg(long)]
    danger_allow_http: bool,

    /// Trusts one more certificate authority (PEM), of a TLS-inspecting proxy for example
    #[arg(long, value_name = "FILE")]
    root_certificate: Option<PathBuf>,
}

/// An API key, and where it comes from.
pub(crate) struct Key {
    pub(crate) secret: SecretString,
    pub(crate) origin: String,
}

impl Connection {
    pub(crate) fn key(&self) -> Result<Key, Failure> {
        let (text, origin) = match &self.api_key_file {
            Some(path) if path == Path::new("-") => {
                let mut text = String::new();
                let read = io::stdin().take(MAX_KEY_BYTES).read_to_string(&mut text);
                read.map_err(|error| Failure::usage(format!("cannot read stdin: {error}")))?;
                (text, "stdin".to_owned())
            }
            Some(path) => {
                let text = fs::read_to_string(path).map_err(|error| unread(path, &error))?;
                (text, path.display().to_string())
            }
            None => {
                let text = variable(API_KEY)?;
                let problem = match text {
                    None => "is not set",
                    Some(_) => "is empty",
                };
                let missing = || {
                    Failure::usage(format!("{API_KEY} {problem}"))
                        .with_help("give it an API key of your workspace (in Courier: Settings, API Keys),")
                        .with_help(FILE)
                };
                let text = text.filter(|text| !text.is_empty()).ok_or_else(missing)?;
                return Ok(Key {
                    secret: text.into(),
                    origin: API_KEY.to_owned(),
                });
            }
        };
        // The line break at the end of a file is no part of it, nor is Windows' mark at its beginning.
        let text = text.trim_start_matches('\u{feff}');
        let text = text.trim_end_matches(['\r', '\n']);
        Ok(Key {
            secret: text.into(),
            origin,
        })
    }

    /// A client with this key.
    pub(crate) fn client(&self, key: &Key) -> Result<CourierClient, Failure> {
        self.build(self.builder(key)?)
    }

    /// Adds the certificate authority, if one is given.
    pub(crate) fn build(
        &self,
        mut builder: CourierClientBuilder,
    ) -> Result<CourierClient, Failure> {
        if let Some(path) = &self.root_certificate {
            let pem = fs::read(path).map_err(|error| unread(path, &error))?;
            builder = builder.root_certificate_pem(pem);
        }
        Ok(builder.build()?)
    }

    fn builder(&self, key: &Key) -> Result<CourierClientBuilder, Failure> {
        let mut builder = CourierClient::builder(key.secret.expose_secret())
            .danger_allow_http(self.danger_allow_http);
        let url = match &self.base_url {
            Some(url) => Some(url.clone()),
            None => variable(BASE_URL)?.filter(|url| !url.is_empty()),
        };
        if let Some(url) = url {
            builder = builder.base_url(url);
        }
        if let Some(region) = self.region {
            builder = builder.region(region);
        }
        Ok(builder)
    }
}

/// What to tell instead of an error of the command line's that repeats an API key or a token.
pub(crate) fn misplaced(said: &str) -> Option<Failure> {
    if has_word(said, KEY_START) {
        let failure = Failure::usage("there is an API key on the command line");
        return Some(with_places(failure));
    }
    has_word(said, TOKEN_START).then(|| {
        Failure::usage("there is a token on the command line, where none belongs")
            .with_help("`courier-token inspect` looks into one, from stdin best of all")
    })
}

/// Why a file was not read. Its name is not repeated if it is a secret itself.
fn unread(path: &Path, error: &io::Error) -> Failure {
    let name = path.to_string_lossy();
    if has_word(&name, KEY_START) || has_word(&name, TOKEN_START) {
        return with_places(Failure::usage(format!(
            "what is named as a file looks like an API key or a token: {error}"
        )));
    }
    Failure::usage(format!("cannot read {name}: {error}"))
}

fn with_places(failure: Failure) -> Failure {
    failure
        .with_help(format!("put the key into {API_KEY},"))
        .with_help(FILE)
}

/// Whether there is a word with this start, behind the name of an option and a `=` for example.
fn has_word(text: &str, start: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.any(|word| word.starts_with(start))
}

/// One that is not UTF-8 does not count as unset: the key would go to Courier and not where it should.
fn variable(name: &str) -> Result<Option<String>, Failure> {
    let text = env::var_os(name).map(OsString::into_string).transpose();
    text.map_err(|_| Failure::usage(format!("{name} is not valid UTF-8")))
}

const API_KEY: &str = "COURIER_API_KEY";
const BASE_URL: &str = "COURIER_BASE_URL";
const FILE: &str = "or name a file that holds one: --api-key-file FILE, or - for stdin";
const KEY_START: &str = "pk_";
/// `{"` in base64.
const TOKEN_START: &str = "eyJ";
const MAX_KEY_BYTES: u64 = 64 * 1024;
