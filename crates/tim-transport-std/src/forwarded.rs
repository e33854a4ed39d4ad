//! The address of a client behind a proxy.

use std::net::{IpAddr, SocketAddr};

/// Which header of a trusted proxy has the client's address.
///
/// It must be the one that the proxy sets or appends to. Whatever else a client writes passes a proxy unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ClientAddress {
    /// None: the client's address is that of the connection.
    #[default]
    OfConnection,
    /// `Forwarded` ([RFC 7239](https://www.rfc-editor.org/rfc/rfc7239)): the parameter `for`.
    Forwarded,
    /// `X-Forwarded-For`: a list of addresses.
    XForwardedFor,
}

impl ClientAddress {
    /// The name of the header, in lower case.
    #[must_use]
    pub const fn header(self) -> Option<&'static str> {
        match self {
            Self::OfConnection => None,
            Self::Forwarded => Some("forwarded"),
            Self::XForwardedFor => Some("x-forwarded-for"),
        }
    }

    /// The address of the client whose connection comes from `peer`, by the values of all lines of the header, in their order.
    ///
    /// The last entry was added by `peer`, the one before it by whom that entry names, and so on: as long as these are trusted, their
    /// entries are believed. `None` if one that is to be believed is no address: a client must not get the address of the proxy by
    /// damaging the header.
    pub fn of<'h>(
        self,
        lines: impl IntoIterator<Item = &'h [u8]>,
        peer: IpAddr,
        trusted: &[IpAddr],
    ) -> Option<IpAddr> {
        let entries: Vec<&str> = match self {
            Self::OfConnection => Vec::new(),
            _ => entries(lines),
        };
        let is_trusted = |address: IpAddr| trusted.iter().any(|one| one.to_canonical() == address);
        let mut client = peer.to_canonical();
        for entry in entries.into_iter().rev() {
            if !is_trusted(client) {
                break;
            }
            let node = match self {
                Self::Forwarded => parameter_for(entry),
                _ => Some(entry),
            };
            client = node.and_then(address)?;
        }
        Some(client)
    }
}

/// The entries of a list that may have several lines.
fn entries<'h>(lines: impl IntoIterator<Item = &'h [u8]>) -> Vec<&'h str> {
    let lines = lines.into_iter().map(|line| text(line).unwrap_or("?"));
    lines.flat_map(|line| split(line, ',')).collect()
}

/// The value of a header without the spaces around it, if it is ASCII.
pub(crate) fn text(value: &[u8]) -> Option<&str> {
    let value = std::str::from_utf8(value).ok()?;
    value.is_ascii().then(|| value.trim())
}

/// Splits at a separator, but not within quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |c| {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => return c == separator && !is_quoted,
        }
        false
    })
    .map(str::trim)
}

/// The value of `for` in an entry of `Forwarded`.
fn parameter_for(entry: &str) -> Option<&str> {
    let mut found = split(entry, ';')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Some(value.trim()),
        _ => None,
    }
}

/// An address, perhaps quoted, in brackets, with a port.
fn address(node: &str) -> Option<IpAddr> {
    let node = match node.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => node,
    };
    let bare = node.strip_prefix('[').and_then(|node| node.strip_suffix(']'));
    let ip = bare.unwrap_or(node).parse();
    let address = ip.or_else(|_| node.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(kind: ClientAddress, lines: &[&str], peer: &str) -> String {
        let lines = lines.iter().map(|line| line.as_bytes());
        let trusted = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let client = kind.of(lines, peer.parse().unwrap(), &trusted);
        client.map_or_else(|| "none".to_owned(), |client| client.to_string())
    }

    #[test]
    fn an_entry_is_believed_if_a_trusted_proxy_wrote_it() {
        use ClientAddress::{Forwarded, OfConnection, XForwardedFor};
        for (kind, lines, peer, expected) in [
            (XForwardedFor, &["192.0.2.7"][..], "10.0.0.1", "192.0.2.7"),
            (XForwardedFor, &["192.0.2.7"], "::ffff:10.0.0.1", "192.0.2.7"),
            // Not from a proxy.
            (XForwardedFor, &["192.0.2.7"], "203.0.113.9", "203.0.113.9"),
            (OfConnection, &["for=192.0.2.7"], "10.0.0.1", "10.0.0.1"),
            // What the client wrote itself comes first.
            (XForwardedFor, &["10.9.9.9, 192.0.2.7"], "10.0.0.1", "192.0.2.7"),
            (XForwardedFor, &["10.9.9.9", "192.0.2.7"], "10.0.0.1", "192.0.2.7"),
            (
                XForwardedFor,
                &["10.9.9.9, 192.0.2.7, 10.0.0.2"],
                "10.0.0.1",
                "192.0.2.7",
            ),
            (XForwardedFor, &["192.0.2.7:4711"], "10.0.0.1", "192.0.2.7"),
            (XForwardedFor, &["2001:db8::17"], "10.0.0.1", "2001:db8::17"),
            (XForwardedFor, &["[2001:db8::17]:80"], "10.0.0.1", "2001:db8::17"),
            (XForwardedFor, &["192.0.2.7, nonsense"], "10.0.0.1", "none"),
            (XForwardedFor, &["192.0.2.7,"], "10.0.0.1", "none"),
            (XForwardedFor, &[""], "10.0.0.1", "none"),
            (XForwardedFor, &[], "10.0.0.1", "10.0.0.1"),
            (Forwarded, &["for=192.0.2.7"], "10.0.0.1", "192.0.2.7"),
            (
                Forwarded,
                &["proto=http; For=\"192.0.2.7:80\";by=10.0.0.1"],
                "10.0.0.1",
                "192.0.2.7",
            ),
            (
                Forwarded,
                &["for=\"[2001:db8::17]:4711\""],
                "10.0.0.1",
                "2001:db8::17",
            ),
            (
                Forwarded,
                &["for=6.6.6.6, for=192.0.2.7, for=10.0.0.2"],
                "10.0.0.1",
                "192.0.2.7",
            ),
            // A client that hides a comma in quotes moves nothing.
            (
                Forwarded,
                &["for=\"a,for=6.6.6.6\", for=192.0.2.7"],
                "10.0.0.1",
                "192.0.2.7",
            ),
            (Forwarded, &["for=\"6.6.6.6, for=192.0.2.7"], "10.0.0.1", "none"),
            (Forwarded, &["for=_hidden"], "10.0.0.1", "none"),
            (Forwarded, &["for=192.0.2.7;for=6.6.6.6"], "10.0.0.1", "none"),
            (Forwarded, &["for=unknown, for=10.0.0.2"], "10.0.0.1", "none"),
        ] {
            assert_eq!(client(kind, lines, peer), expected, "{kind:?} {lines:?} {peer}");
        }
    }
}
