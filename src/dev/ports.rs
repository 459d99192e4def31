//! Free loopback ports for children that cannot report the one they got.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Below the range from which kernels pick ports for outgoing connections, so
/// that no passing connection takes a port between here and the child's bind.
const RANGE: std::ops::Range<u16> = 18_000..32_000;

/// A TCP port on 127.0.0.1 that nobody listens on right now. Another process
/// may still be faster: callers try again with a new one.
///
/// # Errors
/// When no port in the range can be bound.
pub fn free() -> io::Result<u16> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..200 {
        let port = rand::random_range(RANGE);
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Whether somebody listens on the port, so that a child could not.
pub fn taken(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_can_be_bound_and_is_then_taken() {
        let port = free().unwrap();
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(taken(port));
        drop(held);
        assert!(!taken(port));
    }
}
