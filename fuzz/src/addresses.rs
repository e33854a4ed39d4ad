//! Addresses of hubs, as people and settings write them.

use tim_transport_std::address::{Address, HostPort};

/// What is written is read back as an equal address, and is the same when it is written again.
pub fn addresses(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match text.parse::<Address>() {
        Ok(address) => {
            let written = address.to_string();
            let again: Address = written.parse().expect("an address that was written");
            assert_eq!((&again, again.to_string()), (&address, written));
            let place = HostPort::new("hub.example.org", 1).expect("a host");
            let moved = address.clone().with_host_port(place.clone());
            assert_eq!(moved.scheme(), address.scheme());
            assert_eq!(moved.host_port(), address.host_port().map(|_| &place));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(place) = text.parse::<HostPort>() {
        assert_eq!(place.to_string().parse().as_ref(), Ok(&place));
        assert_eq!(HostPort::new(place.host(), place.port()).as_ref(), Ok(&place));
    }
}
