//! Runs a hub on a listener until it is asked to stop.

use std::{future::Future, time::Duration};

use tokio::{net::TcpListener, sync::watch};

use crate::{connection::BoundedListener, error::Error, hub::Hub};

/// How long requests that are being worked on may take after the hub was asked to stop, where nobody says.
const GRACE: Duration = Duration::from_secs(10);
/// How often stores may expire, clean and trim.
const TICK: Duration = Duration::from_secs(1);

/// Serves `hub` on `listener` until `shutdown` resolves, then finishes what it has begun and closes the
/// hub.
///
/// New connections are refused from then on, idle ones are closed, requests that are being worked on
/// get 10 s. A request that is cut off after that is in doubt for its client, which may send it again.
///
/// # Errors
///
/// What the network said, or the first store that could not be closed in order.
pub async fn serve(
    hub: Hub,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    serve_with_grace(hub, listener, shutdown, GRACE).await
}

/// Runs a hub as [`serve`] does, where requests that are being worked on get `grace`.
///
/// # Errors
///
/// As [`serve`].
pub async fn serve_with_grace(
    hub: Hub,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
) -> Result<(), Error> {
    let (stop, stopping) = watch::channel(false);
    let ticking = tokio::spawn(tick(hub.clone(), stopping.clone()));
    let server = axum::serve(BoundedListener::new(listener), hub.router());
    let server = server.with_graceful_shutdown(async move {
        shutdown.await;
        stop.send_replace(true);
    });
    let served = tokio::select! {
        served = server => served.map_err(|error| Error::io("serve", error)),
        () = after(stopping, grace) => Ok(()),
    };
    ticking.abort();
    let closed = tokio::task::spawn_blocking(move || hub.close()).await;
    let closed =
        closed.unwrap_or_else(|lost| Err(Error::io("close the hub", std::io::Error::other(lost))));
    served.and(closed)
}

/// Resolves `grace` after `stopping` became true; never, if it never does.
async fn after(mut stopping: watch::Receiver<bool>, grace: Duration) {
    if stopping.wait_for(|stops| *stops).await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(grace).await;
}

/// Lets the stores expire, clean and trim, until the hub stops.
async fn tick(hub: Hub, mut stopping: watch::Receiver<bool>) {
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            _ = stopping.changed() => return,
        }
        let hub = hub.clone();
        // A tick that panicked says nothing about the next one; a broken store refuses by itself.
        if tokio::task::spawn_blocking(move || hub.tick()).await.is_err() {
            return;
        }
    }
}
