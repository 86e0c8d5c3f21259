//! How many connections each address holds, so that one visitor cannot take every place of a listener.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

/// Bits of an IPv6 address that one visitor can choose freely: the lower half.
const OWN_BITS: u32 = 64;

/// Counts per address; clones share the counts.
#[derive(Clone, Debug)]
pub struct Crowd {
    most: usize,
    shared: Arc<[IpNet]>,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A place that is given back when it is dropped.
#[derive(Debug)]
pub struct Seat {
    counted: Option<(Crowd, IpAddr)>,
}

impl Crowd {
    /// `most` for each address (each /64 in IPv6). Networks in `shared` are not counted: many visitors come from there.
    #[must_use]
    pub fn new(most: usize, shared: Vec<IpNet>) -> Self {
        Self { most, shared: shared.into(), counts: Arc::default() }
    }

    /// None when the address holds as many as it may.
    #[must_use]
    pub fn enter(&self, address: IpAddr) -> Option<Seat> {
        let address = address.to_canonical();
        if self.shared.iter().any(|net| net.contains(&address)) {
            return Some(Seat { counted: None });
        }
        let visitor = visitor(address);
        let mut counts = self.counts();
        let count = counts.entry(visitor).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Seat { counted: Some((self.clone(), visitor)) })
    }

    /// A count is whole at every moment, so one that a panic left behind is good.
    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((crowd, visitor)) = &self.counted else { return };
        let mut counts = crowd.counts();
        if let Some(count) = counts.get_mut(visitor) {
            *count -= 1;
            if *count == 0 {
                counts.remove(visitor);
            }
        }
    }
}

/// This machine: a reverse proxy beside us, a tool of its owner.
#[must_use]
pub fn this_machine() -> Vec<IpNet> {
    vec![IpNet::new_assert(Ipv4Addr::new(127, 0, 0, 0).into(), 8), IpAddr::from(Ipv6Addr::LOCALHOST).into()]
}

fn visitor(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> OWN_BITS << OWN_BITS).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_its_share_and_a_proxy_has_all() {
        let crowd = Crowd::new(2, vec!["10.0.0.0/8".parse().unwrap()]);
        let first = crowd.enter(ip("192.0.2.1")).unwrap();
        let mapped = crowd.enter(ip("::ffff:192.0.2.1")).unwrap();
        assert!(crowd.enter(ip("192.0.2.1")).is_none(), "the same address in another spelling counts");
        assert!(crowd.enter(ip("192.0.2.2")).is_some());
        let proxied: Vec<Option<Seat>> = (0..9).map(|_| crowd.enter(ip("10.1.2.3"))).collect();
        assert!(proxied.iter().all(Option::is_some));
        drop(first);
        assert!(crowd.enter(ip("192.0.2.1")).is_some());
        drop(mapped);
        assert!(crowd.counts().is_empty(), "nothing is remembered of who has left");
    }

    #[test]
    fn whoever_has_a_whole_network_counts_once() {
        let crowd = Crowd::new(1, Vec::new());
        let _seat = crowd.enter(ip("2001:db8::1")).unwrap();
        assert!(crowd.enter(ip("2001:db8::ffff:2")).is_none());
        assert!(crowd.enter(ip("2001:db8:0:1::1")).is_some());
    }
}
