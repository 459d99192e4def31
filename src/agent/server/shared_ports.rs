//! The ports of what runs in a sandbox. A container has its own; sandboxes of a simulated cloud share the machine's, so
//! there a program that is told to listen on port 5000 is told another one, and whoever asks the agent for 5000 finds it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// Which ports stand for which.
#[derive(Debug)]
pub struct SharedPorts {
    /// Whether they are this sandbox's alone.
    shared: bool,
    real: Mutex<HashMap<u16, u16>>,
}

impl SharedPorts {
    /// The container's own, or those of a machine that others use too.
    pub fn new(shared: bool) -> Self {
        Self { shared, real: Mutex::default() }
    }

    /// The port to connect to for whoever asks for this one.
    pub fn real(&self, port: u16) -> u16 {
        self.real.lock().unwrap_or_else(PoisonError::into_inner).get(&port).copied().unwrap_or(port)
    }

    /// What a program is told in PORT.
    pub fn told<'a>(&self, value: &'a str) -> Cow<'a, str> {
        match value.parse() {
            Ok(port) if self.shared && port != 0 => Cow::Owned(self.assigned(port).to_string()),
            _ => Cow::Borrowed(value),
        }
    }

    /// The free port that stands for this one from now on.
    fn assigned(&self, port: u16) -> u16 {
        let mut real = self.real.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = real.get(&port) {
            return *known;
        }
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let free = free.map_or(port, |address| address.port());
        real.insert(port, free);
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shared_ports_are_replaced_and_always_by_the_same() {
        let own = SharedPorts::new(false);
        assert_eq!((own.told("5000"), own.real(5000)), ("5000".into(), 5000));
        let shared = SharedPorts::new(true);
        let told = shared.told("5000").into_owned();
        assert_ne!(told, "5000");
        assert_eq!((shared.told("5000").into_owned(), shared.real(5000).to_string()), (told.clone(), told));
        assert_eq!((shared.told("0"), shared.told("http"), shared.real(6000)), ("0".into(), "http".into(), 6000));
    }
}
