//! Which IP addresses are public (IANA special-purpose registries, RFC 6890 and later).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address may belong to anybody on the Internet, rather than to this machine, this network or nobody.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// Whether an address leads to the machine itself, however it is written: loopback, the unspecified address (which connects to it),
/// and both wrapped in IPv6.
#[must_use]
pub fn is_this_machine(ip: IpAddr) -> bool {
    let ip = match ip {
        IpAddr::V6(v6) => v6.to_ipv4().filter(|_| !v6.is_loopback() && !v6.is_unspecified()).map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    };
    ip.is_loopback() || ip.is_unspecified() || matches!(ip, IpAddr::V4(v4) if v4.octets()[0] == 0)
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127, ..)          // this network, private, loopback
            | (100, 64..=127, _)    // carrier-grade NAT
            | (169, 254, _)         // link-local, cloud metadata
            | (172, 16..=31, _)     // private
            | (192, 0, 0 | 2)       // protocol assignments, documentation
            | (192, 31, 196)        // AS112
            | (192, 52, 193)        // AMT
            | (192, 88, 99)         // 6to4 relay
            | (192, 168, _)         // private
            | (192, 175, 48)        // AS112
            | (198, 18 | 19, _)     // benchmarks
            | (198, 51, 100)        // documentation
            | (203, 0, 113)         // documentation
            | (224.., ..) // multicast, reserved, broadcast
    )
}

/// Only global unicast (`2000::/3`), and of that nothing that wraps or stands for another address. Mapped, compatible, translated
/// (`64:ff9b::/96`), unique local, link-local, site-local and multicast addresses are all outside.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    a & 0xe000 == 0x2000
        && !matches!(
            (a, b),
            (0x2001, 0..=0x01ff)    // protocol assignments: Teredo, ORCHID, benchmarks
                | (0x2001, 0x0db8)  // documentation
                | (0x2002, _)       // 6to4
                | (0x2620, 0x004f)  // AS112
                | (0x3fff, 0..=0x0fff) // documentation
        )
}
