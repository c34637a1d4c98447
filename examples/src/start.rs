use std::{
    env,
    io::{self, IsTerminal},
    net::TcpListener,
};

#[cfg(feature = "inbox")]
use courier_auth_core::emulator::Emulator;
use tracing::info;
use tracing_subscriber::EnvFilter;

use crate::{demo::Demo, error::StartError, settings::Settings, stop::Stop};
#[cfg(feature = "inbox")]
use crate::{
    emulator::{Courier, CourierServer},
    settings,
};

/// Reads the settings, opens the port and, without `COURIER_API_KEY`, starts the emulator.
///
/// Returns Courier or its emulator, where to listen, and when to stop.
///
/// # Errors
///
/// When a setting is malformed or the port is taken.
pub async fn start(example: &'static str) -> Result<(Demo, TcpListener, Stop), StartError> {
    let settings = Settings::from_env()?;
    log()?;
    #[cfg(feature = "metrics")]
    crate::metrics::install().map_err(|error| StartError::because("no metrics", &error))?;
    let listener = settings.listen()?;
    // Before the address is announced: who reads it may send a signal at once.
    let stop = Stop::on_signal()?;
    let demo = Demo::start(example, &settings).await?;
    info!("listening on http://{}", listener.local_addr()?);
    Ok((demo, listener, stop))
}

/// Starts the emulator of Courier alone, on `PORT` or on 4000.
///
/// Returns it, and when to stop.
///
/// # Errors
///
/// When a setting is malformed or the port is taken.
#[cfg(feature = "inbox")]
pub async fn start_emulator() -> Result<(CourierServer, Stop), StartError> {
    let port = settings::port(4000)?;
    log()?;
    let stop = Stop::on_signal()?;
    let key = env::var("COURIER_API_KEY")
        .ok()
        .filter(|key| !key.is_empty());
    let (tokens, key) = match key {
        Some(key) => (
            Emulator::with_api_key(key),
            "that of COURIER_API_KEY".to_owned(),
        ),
        None => {
            let tokens = Emulator::new();
            let key = tokens.api_key().to_owned();
            (tokens, key)
        }
    };
    let courier = Courier::with_tokens(tokens).serve(port).await;
    let courier = courier.map_err(|error| settings::cannot_listen(port, &error))?;
    info!("an emulator of Courier, no account and no network; its API key is {key}");
    info!("listening on {}", courier.url());
    Ok((courier, stop))
}

fn log() -> Result<(), StartError> {
    let filter = match env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(filter)
            .map_err(|error| StartError::because("RUST_LOG is malformed", &error))?,
        // And one line for each call to Courier.
        _ => EnvFilter::new("info,courier_auth::flight=debug"),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stdout().is_terminal())
        .init();
    Ok(())
}
