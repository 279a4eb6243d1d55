//! The process around the routes: listener, TLS, a graceful end.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use serde_json::json;

use crate::access;
use crate::archive::sqlite::Sqlite;
use crate::archive::{Archive, ArchiveError};
use crate::auth;
use crate::enrol;
use crate::keys::{Keys, random};
use crate::roles::Role;
use crate::router::{Shared, router};
use crate::store::Store;

/// Requests that run when the end is asked for have this long to finish.
const GRACE: Duration = Duration::from_secs(5);

/// Where and how to listen.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The address; port 0 picks one.
    pub address: SocketAddr,
    /// Certificate chain and key, PEM. Needed for any address but loopback.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// Why a collector does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can be reached from elsewhere, and there is no TLS.
    #[error("{0} is not a loopback address and needs --tls-cert and --tls-key")]
    Unprotected(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("cannot use the certificate {cert} with the key {key}")]
    Tls {
        /// Certificate file.
        cert: String,
        /// Key file.
        key: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The archive cannot be used.
    #[error("cannot open the archive")]
    Archive(#[from] ArchiveError),
    /// The listener failed.
    #[error("the listener failed")]
    Io(#[from] io::Error),
}

/// Serves the archive in `data` until `end` is done. `ready` is told the address once requests are taken.
///
/// Errors: see [`ServeError`]; nothing is served where one is returned.
pub async fn serve(
    data: &Path,
    listen: Listen,
    ready: impl FnOnce(&str),
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let unprotected = listen.tls.is_none() && !listen.address.ip().is_loopback();
    if unprotected {
        return Err(ServeError::Unprotected(listen.address));
    }
    let keys = Keys::load_or_create(data)?;
    let store = Store::start(Box::new(Sqlite::open(data)?))?;
    let tls = match &listen.tls {
        Some(files) => Some(tls(files).await?),
        None => None,
    };
    let failed = |source| ServeError::Listen { address: listen.address, source };
    let listener = TcpListener::bind(listen.address).map_err(failed)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let handle = Handle::new();
    let ending = handle.clone();
    tokio::spawn(async move {
        end.await;
        ending.graceful_shutdown(Some(GRACE));
    });
    let service = router(Shared::new(store, keys)).into_make_service();
    ready(&format!("{}://{address}", if tls.is_some() { "https" } else { "http" }));
    match tls {
        Some(tls) => axum_server::from_tcp_rustls(listener, tls)?.handle(handle).serve(service).await?,
        None => axum_server::from_tcp(listener)?.handle(handle).serve(service).await?,
    }
    Ok(())
}

async fn tls((cert, key): &(PathBuf, PathBuf)) -> Result<RustlsConfig, ServeError> {
    // Another part of the process may have installed it before us.
    let _ = rustls::crypto::ring::default_provider().install_default();
    RustlsConfig::from_pem_file(cert, key).await.map_err(|source| ServeError::Tls {
        cert: cert.display().to_string(),
        key: key.display().to_string(),
        source,
    })
}

/// Makes a token for the archive in `data` and returns it; it cannot be read again.
///
/// Works while a collector serves the same archive.
pub fn token(data: &Path, role: Role, subject: &str) -> Result<String, ArchiveError> {
    let secret = secret()?;
    in_archive(data, |archive, now_ms| auth::issue(archive, role, subject, secret, now_ms))
}

/// Makes a one-time code by which a device of `subject` enrols, and returns it; it cannot be read again.
///
/// Works while a collector serves the same archive.
pub fn code(data: &Path, subject: &str, good_for: Duration) -> Result<String, ArchiveError> {
    let secret = secret()?;
    in_archive(data, |archive, now_ms| {
        let expires_ms = now_ms.saturating_add(i64::try_from(good_for.as_millis()).unwrap_or(i64::MAX));
        enrol::issue(archive, subject, secret, now_ms, expires_ms)
    })
}

/// Ends every token of `subject` and returns how many that were; whoever holds one is refused from now on.
///
/// Works while a collector serves the same archive.
pub fn revoke(data: &Path, subject: &str) -> Result<usize, ArchiveError> {
    let keys = Keys::load_or_create(data)?;
    in_archive(data, |archive, now_ms| {
        let tokens = archive.end_tokens(subject, None, now_ms)?;
        access::note(archive, &keys, "revoked", subject, json!({ "how": "observed", "tokens": tokens }), now_ms)?;
        Ok(tokens)
    })
}

fn secret<const N: usize>() -> Result<[u8; N], ArchiveError> {
    random().map_err(|error| ArchiveError::Engineering { what: "draw randomness", source: Arc::new(error) })
}

/// Does something in a transaction of its own.
fn in_archive<T>(
    data: &Path,
    act: impl FnOnce(&mut dyn Archive, i64) -> Result<T, ArchiveError>,
) -> Result<T, ArchiveError> {
    let mut archive = Sqlite::open(data)?;
    archive.begin()?;
    let done = act(&mut archive, jiff::Timestamp::now().as_millisecond())?;
    archive.commit()?;
    Ok(done)
}
