//! Who may try a password now, and how many connections one address holds.
//!
//! A try counts before the password is looked at and is taken back when it was right, so that many at once are no way around the count.
//! Each address waits longer after each wrong one; so does a registrar's name, from addresses that it never signed in from: whoever guesses
//! at a registrar does not lock it out.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use purser_values::Timestamp;

use crate::limits::{ADDRESS_CONNECTIONS, ADDRESS_TRIES, CLIENT_TRIES, DOORS, FORGET_S, KNOWN_ADDRESSES, WAIT_MAX_S};

/// Where a connection comes from, as far as one owner has it: an IPv4 address, or the /64 of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Net(IpAddr);

impl Net {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Door {
    Address(Net),
    Client(String),
}

#[derive(Clone, Copy, Debug)]
struct Tried {
    wrong: u32,
    last: Timestamp,
}

impl Tried {
    /// When the next try is let in: doubling with each wrong one beyond those that are free.
    fn open_at(self, free: u32) -> Timestamp {
        let beyond = self.wrong.saturating_sub(free);
        let wait = if beyond == 0 { 0 } else { (1_i64 << beyond.min(30)).min(WAIT_MAX_S) };
        self.last.plus_secs(wait)
    }
}

#[derive(Debug, Default)]
struct Inner {
    tried: HashMap<Door, Tried>,
    known: HashMap<String, VecDeque<Net>>,
    held: HashMap<Net, usize>,
}

/// The doors of one registry, in the memory of its process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doors(Arc<Mutex<Inner>>);

impl Doors {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a password may be tried now; it counts as wrong until [`Doors::forgive`] takes that back.
    pub(crate) fn knock(&self, client: &str, from: Net, now: Timestamp) -> bool {
        let mut inner = self.inner();
        let is_known = inner.known.get(client).is_some_and(|nets| nets.contains(&from));
        let doors = [(Door::Address(from), ADDRESS_TRIES), (Door::Client(client.to_owned()), CLIENT_TRIES)];
        let watched = || doors.iter().filter(|(door, _)| !is_known || matches!(door, Door::Address(_)));
        let closed = |(door, free): &(Door, u32)| {
            let tried = inner.tried.get(door).filter(|tried| tried.last.plus_secs(FORGET_S) > now);
            tried.is_some_and(|tried| now < tried.open_at(*free))
        };
        if watched().any(closed) {
            return false;
        }
        if inner.tried.len() + doors.len() > DOORS {
            inner.tried.retain(|_, tried| tried.last.plus_secs(FORGET_S) > now);
            // So many strangers at once: only those who were here before.
            if inner.tried.len() + doors.len() > DOORS && !is_known {
                return false;
            }
        }
        for (door, _) in watched() {
            let tried = inner.tried.entry(door.clone()).or_insert(Tried { wrong: 0, last: now });
            let wrong = if tried.last.plus_secs(FORGET_S) > now { tried.wrong } else { 0 };
            *tried = Tried { wrong: wrong.saturating_add(1), last: now };
        }
        true
    }

    /// The try was none that counts.
    pub(crate) fn forgive(&self, client: &str, from: Net) {
        let mut inner = self.inner();
        for door in [Door::Address(from), Door::Client(client.to_owned())] {
            if let Some(tried) = inner.tried.get_mut(&door) {
                tried.wrong = tried.wrong.saturating_sub(1);
                if tried.wrong == 0 {
                    inner.tried.remove(&door);
                }
            }
        }
    }

    /// The password was right: the registrar is known at that address.
    pub(crate) fn welcome(&self, client: &str, from: Net) {
        self.forgive(client, from);
        let mut inner = self.inner();
        let known = inner.known.entry(client.to_owned()).or_default();
        known.retain(|net| *net != from);
        known.push_back(from);
        if known.len() > KNOWN_ADDRESSES {
            known.pop_front();
        }
    }

    /// A place for one more connection from an address, given back when it is dropped.
    pub(crate) fn place(&self, from: Net) -> Option<Held> {
        let mut inner = self.inner();
        let held = inner.held.entry(from).or_default();
        if *held >= ADDRESS_CONNECTIONS {
            return None;
        }
        *held += 1;
        Some(Held { from, doors: self.clone() })
    }
}

/// A connection that is counted.
pub(crate) struct Held {
    from: Net,
    doors: Doors,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut inner = self.doors.inner();
        if let Some(held) = inner.held.get_mut(&self.from) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                inner.held.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        Net::of(text.parse().unwrap())
    }

    #[test]
    fn an_address_that_guesses_waits_ever_longer_and_not_for_ever() {
        let (doors, from) = (Doors::default(), net("192.0.2.1"));
        let mut now = Timestamp::from_secs(1_000_000);
        for n in 0..ADDRESS_TRIES + 1 {
            assert!(doors.knock(&format!("victim-{n}"), from, now), "try {n} is free");
        }
        assert!(!doors.knock("another", from, now), "another name is a way around");
        assert!(doors.knock("another", net("192.0.2.2"), now), "another address waits for it");
        now = now.plus_secs(2);
        assert!(doors.knock("another", from, now));
        assert!(!doors.knock("another", from, now.plus_secs(3)), "the wait does not grow");
        assert!(doors.knock("another", from, now.plus_secs(4)));
        assert!(doors.knock("another", from, now.plus_secs(FORGET_S * 2)));
    }

    #[test]
    fn a_registrar_that_is_guessed_at_from_everywhere_still_gets_in_from_where_it_was_before() {
        let (doors, home, now) = (Doors::default(), net("2001:db8:1:2::7"), Timestamp::from_secs(1_000_000));
        assert!(doors.knock("alpha", home, now));
        doors.welcome("alpha", home);
        let guesses = (0..200_u8).filter(|n| doors.knock("alpha", net(&format!("198.51.100.{n}")), now)).count();
        assert_eq!(guesses, CLIENT_TRIES as usize + 1, "so many addresses, so many passwords");
        assert!(doors.knock("alpha", net("2001:db8:1:2::8"), now), "the same network is the same home");
        assert!(!doors.knock("alpha", net("2001:db8:1:3::8"), now));
    }

    #[test]
    fn one_address_does_not_hold_every_place() {
        let (doors, from) = (Doors::default(), net("::ffff:192.0.2.1"));
        let held: Vec<Held> = (0..ADDRESS_CONNECTIONS).map(|_| doors.place(from).unwrap()).collect();
        assert!(doors.place(net("192.0.2.1")).is_none() && doors.place(net("192.0.2.2")).is_some());
        drop(held);
        assert!(doors.place(from).is_some());
        assert!(doors.inner().held.is_empty(), "places that nobody holds are kept");
    }
}
