//! Asks a server on this machine whether it is ready, for containers that have
//! no curl.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use thiserror::Error;

/// How long the whole of it may take, each way.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The server is not ready.
#[derive(Debug, Error)]
pub enum NotReady {
    /// It does not answer.
    #[error("no answer from {0}: {1}")]
    NoAnswer(SocketAddr, io::Error),
    /// It says no.
    #[error("{0} answered: {1}")]
    Refused(SocketAddr, String),
}

/// Asks `/readyz` on `port` of `address`, or of the loopback interface.
pub fn check(address: Option<IpAddr>, port: u16) -> Result<(), NotReady> {
    let address = address
        .filter(|address| !address.is_unspecified())
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let address = SocketAddr::new(address, port);
    let answer = ask(address).map_err(|error| NotReady::NoAnswer(address, error))?;
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        Ok(())
    } else {
        Err(NotReady::Refused(address, status.trim().to_owned()))
    }
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    // More than enough for the status line, whatever else answers there.
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer)
}
