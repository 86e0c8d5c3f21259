//! Questions over UDP: a thread of its own that takes and sends many datagrams with one call.

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

use crate::fast::fast;
use crate::rate::{Limiter, Verdict};
use crate::respond::{HEADER, Transport, respond};
use crate::snapshot::Snapshot;

/// Datagrams in one call.
const BATCH: usize = 64;
/// The longest question: more than any name and any options that we read.
const QUESTION: usize = 4_096;
/// How long a thread waits for a question before it looks whether it is still wanted.
const WAIT: Duration = Duration::from_millis(500);
/// Pause after an error of the socket that does not go away by itself.
const PAUSE: Duration = Duration::from_millis(20);

/// The threads behind one socket. Dropping it ends them.
pub struct Listeners {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Listeners {
    /// Answers what comes in.
    ///
    /// # Errors
    /// When the socket or the thread cannot be set up.
    pub fn start(socket: UdpSocket, snapshot: Arc<Snapshot>, answers_per_second: Option<u32>) -> std::io::Result<Self> {
        let addr = socket.local_addr()?;
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(WAIT))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let limiter = answers_per_second.map(Limiter::new);
        let thread = std::thread::Builder::new().name("dns-udp".to_owned()).spawn(move || serve(&socket, &snapshot, limiter, &stopped))?;
        Ok(Self { addr, stop, threads: vec![thread] })
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // An empty datagram wakes the thread now; without it, it wakes by itself a little later.
        let (from, to) = match self.addr {
            SocketAddr::V4(addr) => ("127.0.0.1:0", SocketAddr::from(([127, 0, 0, 1], addr.port()))),
            SocketAddr::V6(addr) => ("[::1]:0", SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], addr.port()))),
        };
        let to = if self.addr.ip().is_unspecified() { to } else { self.addr };
        let from = if to.ip().is_loopback() {
            from
        } else if to.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let _ = UdpSocket::bind(from).and_then(|socket| socket.send_to(&[], to));
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// An answer on its way.
struct Outgoing {
    bytes: Vec<u8>,
    to: Option<SockaddrStorage>,
}

fn serve(socket: &UdpSocket, snapshot: &Snapshot, mut limiter: Option<Limiter>, stop: &AtomicBool) {
    let mut buffers = vec![[0_u8; QUESTION]; BATCH];
    let mut incoming = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut outgoing = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut answers: Vec<Outgoing> = (0..BATCH).map(|_| Outgoing { bytes: Vec::with_capacity(512), to: None }).collect();
    while !stop.load(Ordering::Relaxed) {
        let mut count = 0;
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        match recvmmsg(socket.as_raw_fd(), &mut incoming, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None) {
            Ok(received) => {
                let now = Instant::now();
                let zones = snapshot.look();
                for question in received {
                    let Some(bytes) = question.iovs().next() else { continue };
                    let (Some(answer), Some(from)) = (answers.get_mut(count), question.address) else { continue };
                    answer.bytes.clear();
                    let class = match fast(&zones, bytes, &mut answer.bytes) {
                        Some(class) => class,
                        None => match respond(&zones, bytes, Transport::Udp) {
                            Some(reply) => {
                                answer.bytes.extend_from_slice(&reply.bytes);
                                reply.class
                            }
                            None => continue,
                        },
                    };
                    if let (Some(limiter), Some(ip)) = (&mut limiter, address(&from)) {
                        match limiter.admit(ip, class, now) {
                            Verdict::Send => {}
                            Verdict::Slip => cut_short(&mut answer.bytes),
                            Verdict::Drop => continue,
                        }
                    }
                    answer.to = Some(from);
                    count += 1;
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR) => continue,
            Err(e) => {
                tracing::warn!(error = %e, "a question was not received");
                std::thread::park_timeout(PAUSE);
            }
        }
        send(socket, &mut outgoing, answers.get(..count).unwrap_or_default());
    }
}

fn send(socket: &UdpSocket, headers: &mut MultiHeaders<SockaddrStorage>, mut answers: &[Outgoing]) {
    while !answers.is_empty() {
        let slices: Vec<[IoSlice<'_>; 1]> = answers.iter().map(|answer| [IoSlice::new(&answer.bytes)]).collect();
        let to: Vec<Option<SockaddrStorage>> = answers.iter().map(|answer| answer.to).collect();
        let sent = match sendmmsg(socket.as_raw_fd(), headers, &slices, &to, [], MsgFlags::empty()) {
            Ok(sent) => sent.count(),
            Err(Errno::EINTR) => 0,
            // The first cannot be sent: its address is none. The others can.
            Err(_) => 1,
        };
        answers = answers.get(sent..).unwrap_or_default();
    }
}

fn address(of: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = of.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| of.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

/// Leaves the question, where the answer repeats one, and the sign that the answer is longer: not a byte that no count tells of.
fn cut_short(answer: &mut Vec<u8>) {
    let mut end = HEADER;
    if answer.get(4..6).is_some_and(|questions| questions != [0, 0]) {
        while let Some(length) = answer.get(end).copied().filter(|length| *length > 0) {
            end += 1 + usize::from(length);
        }
        // the closing zero, type and class
        end += 5;
    }
    answer.truncate(end);
    if let Some(flags) = answer.get_mut(2) {
        *flags |= 2;
    }
    if let Some(counts) = answer.get_mut(6..HEADER) {
        counts.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
    use hickory_proto::rr::{Name, RData, Record, RecordType, rdata::A};

    use super::*;

    #[test]
    fn what_is_cut_short_holds_nothing_that_no_count_tells_of() {
        let name = Name::from_ascii("www.quiet-harbour.test.").unwrap();
        for asked in [true, false] {
            let mut message = Message::new(7, MessageType::Response, OpCode::Query);
            if asked {
                message.add_query(Query::query(name.clone(), RecordType::A));
                message.add_answer(Record::from_rdata(name.clone(), 60, RData::A(A::new(192, 0, 2, 1))));
            }
            message.set_edns(Edns::new());
            let mut bytes = message.to_vec().unwrap();
            cut_short(&mut bytes);
            let read = Message::from_vec(&bytes).unwrap();
            assert!(read.metadata.truncation && read.answers.is_empty() && read.edns.is_none());
            assert_eq!((read.queries.len(), bytes.len()), if asked { (1, HEADER + 24 + 4) } else { (0, HEADER) });
        }
    }
}
