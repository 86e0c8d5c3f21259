//! Who follows the changes of which zone: one at a time for each zone, or an older reading could replace a newer one; and whoever waited while
//! a reading that began after their change was carried out has nothing left to do. A zone with many changes is read twice, not as often
//! as it is changed, and keeps nobody else's waiting.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use purser_values::name::DomainName;
use tokio::sync::{Mutex as Lock, MutexGuard as Held};

#[derive(Default)]
pub struct Turns(Mutex<HashMap<DomainName, Known>>);

/// A zone, and how many wait for its turn or have it.
#[derive(Default)]
struct Known {
    tickets: usize,
    zone: Arc<Zone>,
}

#[derive(Default)]
struct Zone {
    /// Changes that were to be followed so far.
    asked: AtomicU64,
    /// Of these, how many are followed.
    followed: Lock<u64>,
}

/// A change that waits to be followed.
pub struct Ticket<'a> {
    turns: &'a Turns,
    name: DomainName,
    zone: Arc<Zone>,
    number: u64,
}

/// The zone's turn.
pub struct Turn<'a> {
    zone: &'a Zone,
    number: u64,
    followed: Held<'a, u64>,
    /// The changes that were there when the reading began.
    seen: u64,
}

impl Turns {
    /// Called after the change is committed.
    pub fn take(&self, name: &DomainName) -> Ticket<'_> {
        let mut zones = self.zones();
        let known = zones.entry(name.clone()).or_default();
        known.tickets += 1;
        let zone = known.zone.clone();
        drop(zones);
        let number = zone.asked.fetch_add(1, Ordering::SeqCst) + 1;
        Ticket { turns: self, name: name.clone(), zone, number }
    }

    /// A map of counts is whole at every moment, so one that a panic left behind is good.
    fn zones(&self) -> MutexGuard<'_, HashMap<DomainName, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket<'_> {
    pub async fn wait(&self) -> Turn<'_> {
        Turn { zone: &self.zone, number: self.number, followed: self.zone.followed.lock().await, seen: 0 }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut zones = self.turns.zones();
        if let Some(known) = zones.get_mut(&self.name) {
            known.tickets -= 1;
            if known.tickets == 0 {
                zones.remove(&self.name);
            }
        }
    }
}

impl Turn<'_> {
    /// Whether somebody read the zone since the change.
    pub fn is_done(&self) -> bool {
        *self.followed >= self.number
    }

    /// Before the zone is read.
    pub fn begin(&mut self) {
        self.seen = self.zone.asked.load(Ordering::SeqCst);
    }

    /// After what was read is served.
    pub fn end(&mut self) {
        *self.followed = self.seen.max(*self.followed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn changes_that_come_while_a_zone_is_read_are_followed_by_one_more_reading() {
        let turns = Arc::new(Turns::default());
        let (busy, other): (DomainName, DomainName) = ("quiet-harbour.test".parse().unwrap(), "other.test".parse().unwrap());
        let ticket = turns.take(&busy);
        let mut first = ticket.wait().await;
        first.begin();
        let reads = Arc::new(AtomicU64::new(0));
        let waiting: Vec<_> = (0..50)
            .map(|_| {
                let (turns, busy, reads) = (turns.clone(), busy.clone(), reads.clone());
                tokio::spawn(async move {
                    let ticket = turns.take(&busy);
                    let mut turn = ticket.wait().await;
                    if !turn.is_done() {
                        turn.begin();
                        reads.fetch_add(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        turn.end();
                    }
                })
            })
            .collect();
        while turns.zones()[&busy].zone.asked.load(Ordering::SeqCst) < 51 {
            tokio::task::yield_now().await;
        }
        let neighbour = turns.take(&other);
        assert!(!neighbour.wait().await.is_done(), "a neighbour's zone has its own turn");
        drop(neighbour);
        first.end();
        assert!(first.is_done());
        drop(first);
        drop(ticket);
        for one in waiting {
            one.await.unwrap();
        }
        assert_eq!(reads.load(Ordering::SeqCst), 1);
        assert!(turns.zones().is_empty(), "nothing is remembered of who has left");
    }
}
