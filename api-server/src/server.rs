//! Listening, and stopping without losing a request.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{
    app::{App, router},
    config::{Config, Contents, DatabaseFiles, Tls},
    crypto::tls::ServerTls,
    domain::account::NewAccount,
    http::operations_router,
    metrics::Reloadable,
};

mod connections;
mod file_watch;
mod first_admin;
mod housekeeping;
mod listen;
mod tls;

use connections::{Port, accept};
use file_watch::Watch;
use listen::bind;
use tls::Handshakes;

/// How often the metrics are folded while nobody scrapes them.
const FOLD_EVERY: Duration = Duration::from_secs(5);
/// Between two looks for the schema.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Serves until a signal says to stop, then drains.
pub async fn serve(mut config: Config) -> io::Result<()> {
    let mut stop = StopSignals::new()?;
    raise_descriptor_limit();
    let listen = config.listen;
    let (drain_delay, drain_timeout) = (config.drain_delay, config.drain_timeout);
    let key_file = config.signing_keys_file.clone();
    let tls = config.tls.take();
    let database_files = config.database.files.take();
    let (limited, housekeeping) = (config.limits.is_some(), config.housekeeping);
    let first_admin = config.first_admin.clone();
    let app = App::new(config)?;
    app.announce_keys();
    let clients = bind(listen, listen.port)?;
    let operators = bind(listen, listen.metrics_port)?;
    tracing::info!(
        address = %clients.local_addr()?,
        metrics_address = %operators.local_addr()?,
        tls = tls.is_some(),
        "listening"
    );

    if app.public_url.is_exposed() {
        tracing::warn!(
            public_url = app.public_url.origin(),
            "PUBLIC_URL is http: passwords and tokens cross the network as they are, and cookies \
             are not Secure; have TLS in front, and name https:// here"
        );
    }
    if !limited {
        tracing::warn!("RATE_LIMITS is off: passwords may be guessed as fast as they are hashed");
    }
    tokio::spawn(housekeeping::run(app.clone(), housekeeping));
    tokio::spawn(watch_for_schema(app.clone(), first_admin));
    tokio::spawn(fold_metrics(app.clone()));
    if let Some(file) = key_file {
        let keys = app.clone();
        let take = async move |contents: &Contents| {
            let reloaded = keys.reload_keys(&contents[0]);
            reloaded.map_err(|error| error.to_string())
        };
        tokio::spawn(Watch::new(app.clone(), Reloadable::SigningKeys, file, take).run());
    }
    if let Some(files) = database_files {
        follow_database(&app, files);
    }
    let handshakes = tls.map(|tls| speak_tls(&app, tls));
    // Probes are answered to the end: nothing drains that port.
    let (_keep, never) = watch::channel(());
    let probes = Port {
        router: operations_router(app.clone()),
        tls: None,
    };
    tokio::spawn(accept(operators, probes, never));
    let (close, closed) = watch::channel(());
    let port = Port {
        router: router(app.clone()),
        tls: handshakes,
    };
    let serving = tokio::spawn(accept(clients, port, closed));

    let signal = stop.next().await;
    app.readiness.drain();
    tracing::info!(signal = signal.name, "draining");
    if signal.gradual {
        // Load balancers go on sending until they have noticed; a second
        // signal means that whoever sent it does not care.
        tokio::select! {
            () = tokio::time::sleep(drain_delay) => {}
            _ = stop.next() => {}
        }
    }
    drop(close);
    let drained = tokio::select! {
        drained = tokio::time::timeout(drain_timeout, serving) => drained.is_ok(),
        _ = stop.next() => false,
    };
    if !drained {
        tracing::warn!("requests were cut off");
    }
    // Bounded too: closing waits for statements that nobody awaits any more.
    let _ = tokio::time::timeout(Duration::from_secs(1), app.store.close()).await;
    tracing::info!("stopped");
    Ok(())
}

/// Goes to the database as the files say, also when they change.
fn follow_database(app: &App, database: DatabaseFiles) {
    let store = app.store.clone();
    let (files, wanted) = (database.files.clone(), store.looks_wanted());
    let take = async move |contents: &Contents| {
        let options = database.options(contents);
        let options = options.map_err(|error| error.to_string())?;
        let renewed = store.renew(options).await;
        renewed.map_err(|error| error.to_string())?;
        tracing::info!("the database is reached as its files say now");
        Ok(())
    };
    let watch = Watch::new(app.clone(), Reloadable::DatabaseSettings, files, take);
    tokio::spawn(watch.when_asked(wanted).run());
}

/// Begins to speak TLS, with whatever certificate the files have.
fn speak_tls(app: &App, tls: Tls) -> Handshakes {
    let handshakes = Handshakes::new(app.clone(), &tls.pair);
    let with = handshakes.clone();
    let take = async move |contents: &Contents| {
        let pair = ServerTls::from_pem(&contents[0], &contents[1]);
        with.replace(&pair.map_err(|error| error.to_string())?);
        Ok(())
    };
    tokio::spawn(Watch::new(app.clone(), Reloadable::TlsCertificate, tls.files, take).run());
    handshakes
}

/// Takes as many file descriptors as the system allows: each connection is
/// one, and the customary soft limit of 1,024 is for programs that use
/// `select`.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// The signals that mean to stop.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

struct StopSignal {
    name: &'static str,
    /// A person at a terminal has no load balancer to wait for.
    gradual: bool,
}

impl StopSignals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.terminate.recv() => StopSignal { name: "SIGTERM", gradual: true },
            _ = self.interrupt.recv() => StopSignal { name: "SIGINT", gradual: false },
        }
    }
}

/// Ready once the schema has been seen. Until then the server answers what it
/// can; a database that comes later needs no restart.
async fn watch_for_schema(app: App, first_admin: Option<NewAccount>) {
    let mut announced = false;
    loop {
        let waiting_for = match app.store.schema_is_ready().await {
            Ok(true) => break,
            Ok(false) => "the schema is older than this server: run `migrate`".to_owned(),
            Err(error) => error.to_string(),
        };
        if !announced {
            tracing::warn!(reason = waiting_for, "not ready");
            announced = true;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    // Tried before clients come, who may be the administrator; but what fails
    // and passes holds nobody up.
    let unsettled = match first_admin {
        Some(account) if !first_admin::settle(&app, &account).await => Some(account),
        _ => None,
    };
    app.readiness.schema_seen();
    tracing::info!("ready");
    if let Some(account) = unsettled {
        first_admin::until_settled(app, account).await;
    }
}

async fn fold_metrics(app: App) {
    let mut every = tokio::time::interval(FOLD_EVERY);
    loop {
        every.tick().await;
        app.metrics.fold();
    }
}
