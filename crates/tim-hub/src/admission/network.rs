//! Whose connections share the limits of an address.

use std::net::{IpAddr, Ipv6Addr};

/// Bits of an IPv6 address that a site is given at least; the rest it chooses.
const SITE_BITS: u32 = 64;

/// An IPv4 address, or the network of an IPv6 address: what one subscriber has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let mask = !(u128::MAX >> SITE_BITS);
                Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
            ipv4 => ipv4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_site_is_one_network_and_ipv4_in_disguise_is_ipv4() {
        let network = |text: &str| Network::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.1"));
    }
}
