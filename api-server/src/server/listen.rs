//! Taking the ports.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use tokio::net::{TcpListener, TcpSocket};

use crate::config::Listen;

/// The most connections that wait to be accepted, if the system allows as many.
/// With the usual 128, a burst of clients has to knock again, a second later.
pub(super) const BACKLOG: u32 = 4096;

/// Listens on the address that is set, or on every one: over IPv6, which takes
/// IPv4 too, unless the machine has none.
pub(super) fn bind(listen: Listen, port: u16) -> io::Result<TcpListener> {
    let result = match listen.address {
        Some(address) => listen_on(address, port),
        None => match listen_on(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                listen_on(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)
            }
            result => result,
        },
    };
    result.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot listen on port {port}: {error}"),
        )
    })
}

fn listen_on(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let socket = match address {
        IpAddr::V4(_) => TcpSocket::new_v4(),
        IpAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A port may be taken again while connections of its last owner fade away.
    socket.set_reuseaddr(true)?;
    socket.bind((address, port).into())?;
    socket.listen(BACKLOG)
}
