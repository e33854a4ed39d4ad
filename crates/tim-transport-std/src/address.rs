//! Where a hub is: one form of address for programs, settings and people.
//!
//! | form | what |
//! |---|---|
//! | `tim://host:port` | TCP, not encrypted; port 7878 if none is given |
//! | `host:port` | the same; here the port is needed |
//! | `tims://host:port` | TLS; port 7879 if none is given |
//! | `ws://host:port/path` | WebSocket, not encrypted; port 80 and path `/` if none is given |
//! | `wss://host:port/path` | WebSocket over TLS; port 443 and path `/` if none is given |
//! | `unix:/path` | a Unix socket |
//! | `serial:/dev/ttyUSB0?baud=9600` | a serial port; 115200 baud if none are given |
//!
//! A host is a name, an IPv4 address, or an IPv6 address in brackets. What [`Display`](fmt::Display) writes is parsed as an equal
//! address.

mod parse;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::str::FromStr;

use tim_session::Framing;

/// The port of `tim://` if none is given.
pub const TCP_PORT: u16 = 7878;
/// The port of `tims://` if none is given.
pub const TLS_PORT: u16 = 7879;
/// The speed of a serial port if none is given.
const BAUD: u32 = 115_200;

/// The address of a hub. `FromStr` and `Display` have the forms of the [table](self).
///
/// ```
/// # use tim_transport_std::address::{Address, TLS_PORT};
/// let address: Address = "tims://hub.example.org".parse()?;
/// assert_eq!(address.to_string(), "tims://hub.example.org:7879");
/// let Address::Tls(place) = address else { panic!() };
/// assert_eq!((place.host(), place.port()), ("hub.example.org", TLS_PORT));
///
/// let error = "tim://::1:7878".parse::<Address>().unwrap_err();
/// assert!(error.to_string().contains("tim://[::1]:7878"));
/// # Ok::<(), tim_transport_std::address::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// `tim://host:port`: TCP, not encrypted.
    Tcp(HostPort),
    /// `tims://host:port`: TLS over TCP.
    Tls(HostPort),
    /// `ws://host:port/path` or `wss://host:port/path`.
    WebSocket(WebSocketAddress),
    /// `unix:/path`.
    Unix(UnixAddress),
    /// `serial:/dev/ttyUSB0?baud=9600`.
    Serial(SerialAddress),
}

impl Address {
    /// The part before the colon.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tim",
            Self::Tls(_) => "tims",
            Self::WebSocket(WebSocketAddress { is_tls: false, .. }) => "ws",
            Self::WebSocket(WebSocketAddress { is_tls: true, .. }) => "wss",
            Self::Unix(_) => "unix",
            Self::Serial(_) => "serial",
        }
    }

    /// How frames are framed on such a connection.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        match self {
            Self::Serial(_) => Framing::Serial,
            _ => Framing::Stream,
        }
    }

    /// Whether eavesdroppers on a network can read what travels, because there is no TLS. Unix sockets and serial ports do not use a
    /// network.
    #[must_use]
    pub const fn is_plaintext(&self) -> bool {
        matches!(
            self,
            Self::Tcp(_) | Self::WebSocket(WebSocketAddress { is_tls: false, .. })
        )
    }

    /// The host and port, if it has one.
    #[must_use]
    pub const fn host_port(&self) -> Option<&HostPort> {
        match self {
            Self::Tcp(place) | Self::Tls(place) => Some(place),
            Self::WebSocket(address) => Some(&address.place),
            Self::Unix(_) | Self::Serial(_) => None,
        }
    }

    /// The same address at another host and port; for a Unix socket or a serial port, the same address.
    #[must_use]
    pub fn with_host_port(self, place: HostPort) -> Self {
        match self {
            Self::Tcp(_) => Self::Tcp(place),
            Self::Tls(_) => Self::Tls(place),
            Self::WebSocket(address) => Self::WebSocket(WebSocketAddress { place, ..address }),
            Self::Unix(_) | Self::Serial(_) => self,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme();
        match self {
            Self::Tcp(place) | Self::Tls(place) => write!(f, "{scheme}://{place}"),
            Self::WebSocket(address) => write!(f, "{scheme}://{}{}", address.place, address.path),
            Self::Unix(address) => write!(f, "{scheme}:{}", address.path),
            Self::Serial(SerialAddress { device, baud }) => match baud {
                Some(baud) => write!(f, "{scheme}:{device}?baud={baud}"),
                None => write!(f, "{scheme}:{device}"),
            },
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        parse::address(text).map_err(|fault| AddressError::new(text, fault))
    }
}

/// A `tim://` address.
impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address.into())
    }
}

/// A host and a port: `hub.example.org:7878`, `192.0.2.1:7878`, `[2001:db8::1]:7878`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name in lower case, or an IP address in its shortest form, without brackets.
    host: String,
    port: u16,
}

impl HostPort {
    /// A host, which is a name or an IP address without brackets, and a port.
    ///
    /// # Errors
    /// If it is not such a host.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        let host = match host.parse::<Ipv6Addr>() {
            Ok(ip) => ip.to_string(),
            Err(_) => parse::name(host).map_err(|fault| AddressError::new(host, fault))?,
        };
        Ok(Self { host, port })
    }

    /// The host: a name in lower case, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The host, if it is an IP address.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

impl FromStr for HostPort {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        parse::host_port(text, None).map_err(|fault| AddressError::new(text, fault))
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

/// What a WebSocket address has after its scheme.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WebSocketAddress {
    is_tls: bool,
    place: HostPort,
    /// From its first slash, with the query.
    path: String,
}

impl WebSocketAddress {
    /// An address whose path begins with a slash and may have a query; `wss://` with TLS, else `ws://`.
    ///
    /// # Errors
    /// If it is not a valid path of a URL.
    pub fn new(is_tls: bool, place: HostPort, path: &str) -> Result<Self, AddressError> {
        let path = parse::url_path(path).map_err(|fault| AddressError::new(path, fault))?;
        Ok(Self { is_tls, place, path })
    }

    /// Whether it is `wss://`.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The host and port.
    #[must_use]
    pub const fn host_port(&self) -> &HostPort {
        &self.place
    }

    /// The path and the query, from its first slash.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// The path of a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnixAddress {
    path: String,
}

impl UnixAddress {
    /// The socket at an absolute path.
    ///
    /// # Errors
    /// If the path is relative, or names a directory.
    pub fn new(path: &str) -> Result<Self, AddressError> {
        let path = parse::unix_path(path).map_err(|fault| AddressError::new(path, fault))?;
        Ok(Self { path })
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(&self.path)
    }
}

/// A serial port and its speed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SerialAddress {
    device: String,
    baud: Option<u32>,
}

impl SerialAddress {
    /// The port at a device such as `/dev/ttyUSB0` or `COM3`.
    ///
    /// # Errors
    /// If the device has no name or a question mark in it, or the speed is 0.
    pub fn new(device: &str, baud: Option<u32>) -> Result<Self, AddressError> {
        parse::serial(device, baud).map_err(|fault| AddressError::new(device, fault))
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The speed, if it is given.
    #[must_use]
    pub const fn given_baud(&self) -> Option<u32> {
        self.baud
    }

    /// The speed; 115200 if none is given.
    #[must_use]
    pub fn baud(&self) -> u32 {
        self.baud.unwrap_or(BAUD)
    }
}

/// Why a text is not an address: which part of it is wrong, and what a correct one looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressError {
    text: String,
    fault: String,
}

/// How much of a wrong text an error shows.
const MAX_SHOWN: usize = 200;

impl AddressError {
    fn new(text: &str, fault: String) -> Self {
        let mut shown: String = text.chars().take(MAX_SHOWN).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        Self { text: shown, fault }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the address {:?} is invalid: {}", self.text, self.fault)
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn shown(text: &str) -> String {
        let address: Address = text.parse().unwrap_or_else(|error| panic!("{error}"));
        let shown = address.to_string();
        assert_eq!(shown.parse(), Ok(address), "{shown}");
        shown
    }

    #[track_caller]
    fn fault(text: &str) -> String {
        let error = text.parse::<Address>().expect_err(text).to_string();
        assert!(error.contains("is invalid: "), "{error}");
        error
    }

    #[test]
    fn every_form_is_read_and_written() {
        for (text, canonical) in [
            ("tim://hub.example.org:1", "tim://hub.example.org:1"),
            ("tim://hub", "tim://hub:7878"),
            ("hub:1", "tim://hub:1"),
            ("tim:7878", "tim://tim:7878"),
            ("127.0.0.1:7878", "tim://127.0.0.1:7878"),
            ("[::1]:0", "tim://[::1]:0"),
            ("TIMS://Hub.Example.ORG", "tims://hub.example.org:7879"),
            ("tims://[2001:DB8:0:0::1]", "tims://[2001:db8::1]:7879"),
            ("tims://hub.example.org.:443", "tims://hub.example.org.:443"),
            ("ws://hub", "ws://hub:80/"),
            ("ws://hub?key=1", "ws://hub:80/?key=1"),
            ("wss://hub/chat/%20a?b=c/d", "wss://hub:443/chat/%20a?b=c/d"),
            ("wss://[::1]:8443/", "wss://[::1]:8443/"),
            ("unix:/run/tim.sock", "unix:/run/tim.sock"),
            ("unix:///run/tim hub?.sock", "unix:/run/tim hub?.sock"),
            ("serial:/dev/ttyUSB0", "serial:/dev/ttyUSB0"),
            ("serial:///dev/ttyUSB0?baud=9600", "serial:/dev/ttyUSB0?baud=9600"),
            ("serial:COM3?baud=115200", "serial:COM3?baud=115200"),
            // Found by fuzzing: `://` behind the scheme.
            ("unix:/run/a://b", "unix:/run/a://b"),
            ("unix:////run/wss://hub", "unix:/run/wss://hub"),
            ("SERIAL:/dev/a://b?baud=1", "serial:/dev/a://b?baud=1"),
            ("ws://hub/?to=tim://b", "ws://hub:80/?to=tim://b"),
            ("ws://hub?to=tim://b", "ws://hub:80/?to=tim://b"),
        ] {
            assert_eq!(shown(text), canonical);
        }
    }

    #[test]
    fn an_error_names_the_part_and_shows_the_right_form() {
        for (text, parts) in [
            ("", &["host is missing"][..]),
            (
                "nowhere",
                &["port is missing", "nowhere:7878", "tim://nowhere:7878"],
            ),
            ("::1", &["[::1]:7878"]),
            ("tims://::1:7000", &["brackets", "tims://[::1]:7000"]),
            ("a:b:1", &["more than one colon"]),
            ("tim://[::1", &["not closed", "tim://[::1]:7878"]),
            ("tim://[::g]:1", &["\"::g\"", "not an IPv6"]),
            ("tim://[::1]7878", &["\"7878\" after the bracket"]),
            ("tim://:7878", &["host is missing", "0.0.0.0"]),
            ("tim://*:7878", &["all addresses"]),
            ("tim://hub:", &["port after the colon"]),
            ("tim://hub:65536", &["\"65536\"", "0 to 65535"]),
            ("tim://hub:+80", &["\"+80\""]),
            ("tim://1.2.3:80", &["\"1.2.3\"", "IPv4"]),
            ("tim://1.2.3.256:80", &["IPv4"]),
            ("tim://hu b:80", &["' '"]),
            ("tim://hub..org:80", &["each part"]),
            ("tim://münchen:80", &["xn--"]),
            ("tim://me@hub:80", &["no user", "tim://hub:80"]),
            ("tims://hub:80/chat", &["no path", "\"/chat\"", "tims://hub:80"]),
            ("tims:hub:80", &["two slashes", "tims://HOST:PORT"]),
            ("http://hub", &["\"http\"", "tim://", "unix:", "serial:"]),
            ("ws://hub/a b", &["' '", "%20"]),
            ("ws://hub/%2", &["two hexadecimal"]),
            ("ws://hub/#top", &["fragment"]),
            ("/run/tim.sock", &["unix:/run/tim.sock"]),
            ("unix:tim.sock", &["not absolute", "unix:/run/tim.sock"]),
            ("unix:", &["missing"]),
            ("unix:/run/", &["missing"]),
            ("unix:/run/a\0b", &["'\\0'"]),
            ("serial:", &["device is missing"]),
            ("serial:/dev/ttyS0?baud=fast", &["\"fast\"", "baud=9600"]),
            ("serial:/dev/ttyS0?baud=0", &["speed is 0"]),
            (
                "serial:/dev/ttyS0?parity=even",
                &["\"parity=even\"", "?baud=9600"],
            ),
        ] {
            let error = fault(text);
            for part in parts {
                assert!(error.contains(part), "{part} in: {error}");
            }
        }
        assert!(fault(&"x".repeat(100_000)).len() < 1000);
    }

    #[test]
    fn parts_that_are_put_together_are_checked_too() {
        let place = HostPort::new("::1", 1).unwrap();
        assert_eq!(place.ip(), Some(Ipv6Addr::LOCALHOST.into()));
        assert_eq!("[::1]:1".parse(), Ok(place.clone()));
        assert!(HostPort::new("a b", 1).is_err() && HostPort::new("[::1]", 1).is_err());
        assert!(WebSocketAddress::new(true, place.clone(), "chat").is_err());
        assert!(UnixAddress::new("tim.sock").is_err() && UnixAddress::new("").is_err());
        assert!(SerialAddress::new("/dev/tty?", None).is_err());
        assert_eq!(SerialAddress::new("COM3", None).unwrap().baud(), 115_200);
        let moved = Address::from(SocketAddr::from(([127, 0, 0, 1], 2))).with_host_port(place);
        assert_eq!(moved.to_string(), "tim://[::1]:1");
    }

    #[test]
    fn only_tcp_without_tls_can_be_read_on_the_way_and_only_serial_ports_are_framed() {
        for (text, is_plaintext, framing) in [
            ("tim://hub", true, Framing::Stream),
            ("tims://hub", false, Framing::Stream),
            ("ws://hub", true, Framing::Stream),
            ("wss://hub", false, Framing::Stream),
            ("unix:/a", false, Framing::Stream),
            ("serial:/a", false, Framing::Serial),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(
                (address.is_plaintext(), address.framing()),
                (is_plaintext, framing)
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_so_that_it_is_read_again(
            text in "(tims?://|wss?://|unix:|serial:|)(/{0,3}|)([a-zA-Z0-9._-]{0,12}|\\[[0-9a-f:]{0,8}\\])(:[0-9]{0,5})?(/\\PC{0,8})?(\\?baud=[0-9]{1,6})?"
        ) {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }

        #[test]
        fn no_text_brings_it_down(text in "\\PC{0,40}") {
            let _ = text.parse::<Address>();
            let _ = format!("tims://{text}").parse::<Address>();
            let _ = format!("wss://hub/{text}").parse::<Address>();
        }
    }
}
