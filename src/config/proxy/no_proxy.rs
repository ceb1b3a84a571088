//! The hosts that are reached without the proxy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::util::url::{read_port, without_brackets};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exceptions(Vec<Exception>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Exception {
    hosts: Hosts,
    /// `None`: every port.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// A domain, in lower case and without dots at its ends, and its subdomains.
    Domain(String),
    Network(IpAddr, u8),
}

impl Exceptions {
    pub(super) fn add(&mut self, list: &str) {
        let entries = list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
        self.0.extend(entries.filter_map(Exception::parse));
    }

    pub(super) fn contain(&self, host: &str, port: u16) -> bool {
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let ip = host.parse::<IpAddr>().ok();
        let matches = |exception: &Exception| {
            exception.port.is_none_or(|only| only == port) && exception.hosts.contain(&name, ip)
        };
        self.0.iter().any(matches)
    }
}

impl Exception {
    fn parse(entry: &str) -> Option<Self> {
        let (hosts, port) = match entry.rsplit_once(':') {
            // An IPv6 address has more colons; with a port it has brackets.
            Some((hosts, port)) if !hosts.contains(':') || hosts.ends_with(']') => {
                (hosts, Some(read_port(port).ok()?))
            }
            _ => (entry, None),
        };
        Some(Self { hosts: Hosts::parse(hosts)?, port })
    }
}

impl Hosts {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let bare = without_brackets(text);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Some(Self::Network(ip, bits(ip)));
        }
        if let Some((ip, length)) = bare.split_once('/') {
            let ip = ip.parse::<IpAddr>().ok()?;
            let length = length.parse().ok().filter(|length| *length <= bits(ip))?;
            return Some(Self::Network(ip, length));
        }
        let domain = text.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(text);
        let domain = domain.strip_prefix('.').unwrap_or(domain);
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        (!domain.is_empty()).then(|| Self::Domain(domain.to_ascii_lowercase()))
    }

    fn contain(&self, name: &str, ip: Option<IpAddr>) -> bool {
        match (self, ip) {
            (Self::All, _) => true,
            (Self::Network(network, length), Some(ip)) => is_within(ip, *network, *length),
            (Self::Domain(domain), None) => match name.strip_suffix(domain.as_str()) {
                Some(rest) => rest.is_empty() || rest.ends_with('.'),
                None => false,
            },
            (Self::Network(..), None) | (Self::Domain(_), Some(_)) => false,
        }
    }
}

fn bits(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn is_within(ip: IpAddr, network: IpAddr, length: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            Ipv4Addr::to_bits(ip) & mask == Ipv4Addr::to_bits(network) & mask
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            Ipv6Addr::to_bits(ip) & mask == Ipv6Addr::to_bits(network) & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_matches_what_the_documentation_says() {
        let domain: &[(&str, bool)] = &[
            ("example.org:443", true),
            ("EXAMPLE.org.:80", true),
            ("a.b.example.org:443", true),
            ("notexample.org:443", false),
            ("example.org.evil.test:443", false),
            ("org:443", false),
        ];
        let cases: &[(&str, &[(&str, bool)])] = &[
            ("", &[("h:1", false)]),
            (" , ", &[("h:1", false)]),
            ("*", &[("h:1", true), ("1.2.3.4:1", true)]),
            ("example.org", domain),
            (".example.org", domain),
            ("*.example.org", domain),
            ("Example.ORG.", domain),
            ("a.test,b.test c.test", &[("a.test:1", true), ("b.test:1", true), ("c.test:1", true)]),
            ("h:6001", &[("h:6001", true), ("x.h:6001", true), ("h:443", false)]),
            ("*:6001", &[("h:6001", true), ("h:443", false)]),
            ("1.2.3.4", &[("1.2.3.4:1", true), ("1.2.3.5:1", false), ("x.1.2.3.4:1", false)]),
            ("1.2.3.4:5", &[("1.2.3.4:5", true), ("1.2.3.4:6", false)]),
            ("10.0.0.0/8", &[("10.255.1.2:1", true), ("11.0.0.0:1", false), ("h:1", false)]),
            ("10.1.2.3/31", &[("10.1.2.2:1", true), ("10.1.2.4:1", false)]),
            ("0.0.0.0/0", &[("9.9.9.9:1", true), ("[::1]:1", false), ("h:1", false)]),
            ("::1", &[("[::1]:1", true), ("[0:0::1]:1", true), ("[::2]:1", false)]),
            ("[::1]", &[("[::1]:1", true), ("[::2]:1", false)]),
            ("[::1]:5", &[("[::1]:5", true), ("[::1]:6", false)]),
            ("fd00::/8", &[("[fdff::1]:1", true), ("[fe00::1]:1", false), ("1.2.3.4:1", false)]),
            ("::/0", &[("[fe00::1]:1", true), ("1.2.3.4:1", false)]),
            ("10.0.0.0/33 10.0.0.0/x x/8 . h: h:0 h:x /", &[("10.0.0.1:1", false), ("h:1", false)]),
        ];
        for (list, hosts) in cases {
            let mut exceptions = Exceptions::default();
            exceptions.add(list);
            for (host, expected) in *hosts {
                let (name, port) = host.rsplit_once(':').unwrap();
                let found = exceptions.contain(without_brackets(name), port.parse().unwrap());
                assert_eq!(found, *expected, "{list:?} {host}");
            }
        }
    }
}
