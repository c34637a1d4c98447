//! The examples as they are run: as processes, over sockets.

#![expect(clippy::unwrap_used, reason = "tests")]
// The processes are ended with SIGTERM.
#![cfg(unix)]

mod browser;
mod courier;
#[cfg(feature = "inbox")]
mod emulator;
mod health;
mod listening;
#[cfg(feature = "metrics")]
mod metrics;
mod process;
mod scenario;
mod startup;

/// Writes a test function for each of the examples.
macro_rules! for_each_example {
    ($test:ident) => {
        #[tokio::test]
        async fn axum_app() {
            $test(env!("CARGO_BIN_EXE_axum-app")).await;
        }

        #[tokio::test]
        async fn axum_jwt() {
            $test(env!("CARGO_BIN_EXE_axum-jwt")).await;
        }

        #[tokio::test]
        async fn actix_app() {
            $test(env!("CARGO_BIN_EXE_actix-app")).await;
        }

        #[tokio::test]
        async fn tower_app() {
            $test(env!("CARGO_BIN_EXE_tower-app")).await;
        }
    };
}
pub(crate) use for_each_example;
