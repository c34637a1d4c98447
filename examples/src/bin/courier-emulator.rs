//! Courier, emulated, as a program: something to point Courier's SDKs at.
//!
//! `cargo run --bin courier-emulator`, then see the README for the URLs and for the control endpoint. `PORT` is the port
//! on 127.0.0.1 (default: 4000; 0 is any free one), `COURIER_API_KEY` the key it accepts (default: the one it logs).

use courier_auth_examples::{StartError, start_emulator};

#[tokio::main]
async fn main() -> Result<(), StartError> {
    let (courier, stop) = start_emulator().await?;
    stop.asked().await;
    courier.shutdown().await;
    Ok(())
}
