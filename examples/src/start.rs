use std::{
    env,
    io::{self, IsTerminal},
    net::TcpListener,
};

use tracing::info;
use tracing_subscriber::EnvFilter;

use crate::{demo::Demo, error::StartError, settings::Settings, stop::Stop};

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
    let listener = settings.listen()?;
    // Before the address is announced: who reads it may send a signal at once.
    let stop = Stop::on_signal()?;
    let demo = Demo::start(example, &settings).await?;
    info!("listening on http://{}", listener.local_addr()?);
    Ok((demo, listener, stop))
}

fn log() -> Result<(), StartError> {
    let filter = match env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(filter)
            .map_err(|error| StartError::because("RUST_LOG is malformed", &error))?,
        // And one line for each call to Courier.
        _ => EnvFilter::new("info,courier_auth_core::cache::flight=debug"),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stdout().is_terminal())
        .init();
    Ok(())
}
