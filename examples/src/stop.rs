use std::{fmt, future::Future, io, time::Duration};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tracing::{info, warn};

/// Ctrl-c or SIGTERM. Clones are told of the same one.
#[derive(Clone)]
pub struct Stop(Shared<BoxFuture<'static, ()>>);

impl Stop {
    /// How long requests that are under way may take to end.
    pub const GRACE: Duration = Duration::from_secs(5);

    /// Takes the signals over from now on, until which they would end the process at once.
    pub(crate) fn on_signal() -> io::Result<Self> {
        let signal = signal()?;
        let asked = async move {
            signal.await;
            info!("stopping");
        };
        Ok(Self(asked.boxed().shared()))
    }

    /// Ends when the process is asked to stop.
    pub fn asked(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.clone()
    }

    /// Runs a server that stops gracefully when it is [`asked`](Self::asked) to, and leaves it if
    /// that takes longer than [`GRACE`](Self::GRACE).
    ///
    /// # Errors
    ///
    /// The server's.
    pub async fn limit<E>(&self, server: impl Future<Output = Result<(), E>>) -> Result<(), E> {
        let overdue = async {
            self.asked().await;
            tokio::time::sleep(Self::GRACE).await;
        };
        tokio::select! {
            ended = server => ended,
            () = overdue => {
                warn!("some requests did not end in time");
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").finish_non_exhaustive()
    }
}

#[cfg(unix)]
fn signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(windows)]
fn signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
