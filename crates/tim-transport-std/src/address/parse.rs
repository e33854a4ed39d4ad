//! Reading the parts of an address. A fault is in words that name the part and show the right form.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Address, HostPort, SerialAddress, TCP_PORT, TLS_PORT, UnixAddress, WebSocketAddress};

/// The port of `ws://` if none is given.
const WS_PORT: u16 = 80;
/// The port of `wss://` if none is given.
const WSS_PORT: u16 = 443;

/// The longest name of a host, and the longest part of one (RFC 1035).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// The forms, for an error.
const FORMS: &str =
    "tim://HOST:PORT, tims://HOST:PORT, ws://HOST:PORT/PATH, wss://HOST:PORT/PATH, unix:/PATH, serial:DEVICE";

/// An address of any form. Only the first colon ends a scheme: a path may have `://` in it.
pub(super) fn address(text: &str) -> Result<Address, String> {
    let Some((scheme, rest)) = text.split_once(':') else {
        return plain(text);
    };
    let scheme = scheme.to_ascii_lowercase();
    match (scheme.as_str(), rest.strip_prefix("//")) {
        ("unix" | "serial", _) => with_scheme(&scheme, rest),
        (_, Some(rest)) => with_scheme(&scheme, rest),
        (_, None) => plain(text),
    }
}

fn with_scheme(scheme: &str, rest: &str) -> Result<Address, String> {
    match scheme {
        "tim" => Ok(Address::Tcp(bare(scheme, rest, TCP_PORT)?)),
        "tims" => Ok(Address::Tls(bare(scheme, rest, TLS_PORT)?)),
        "ws" => web_socket(false, rest),
        "wss" => web_socket(true, rest),
        "unix" => unix_path(rest).map(|path| Address::Unix(UnixAddress { path })),
        "serial" => serial_port(rest).map(Address::Serial),
        _ => Err(format!("there is no scheme {scheme:?}; an address is {FORMS}")),
    }
}

/// An address without a scheme: `host:port`.
fn plain(text: &str) -> Result<Address, String> {
    if text.starts_with('/') {
        return Err(format!(
            "a Unix socket is unix:{text}, a serial port serial:{text}"
        ));
    }
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_scheme = ["tim", "tims", "ws", "wss"].contains(&scheme);
    host_port(text, None).map(Address::Tcp).map_err(|fault| {
        if is_scheme {
            format!("two slashes are missing, as in {scheme}://HOST:PORT")
        } else {
            fault
        }
    })
}

/// A host and a port with nothing behind them.
fn bare(scheme: &str, rest: &str, port: u16) -> Result<HostPort, String> {
    if let Some((place, path)) = rest.split_once(['/', '?', '#']) {
        let path = rest.get(place.len()..).unwrap_or(path);
        return Err(format!(
            "{scheme}:// addresses have no path, but this one has {path:?}; such as {scheme}://{place}"
        ));
    }
    host_port(rest, Some((scheme, port)))
}

fn web_socket(is_tls: bool, rest: &str) -> Result<Address, String> {
    let scheme = if is_tls {
        ("wss", WSS_PORT)
    } else {
        ("ws", WS_PORT)
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (place, path) = rest.split_at(end);
    let place = host_port(place, Some(scheme))?;
    let path = match path.starts_with('?') {
        true => url_path(&format!("/{path}"))?,
        false if path.is_empty() => "/".to_owned(),
        false => url_path(path)?,
    };
    Ok(Address::WebSocket(WebSocketAddress { is_tls, place, path }))
}

/// A path that begins with a slash, and its query.
pub(super) fn url_path(path: &str) -> Result<String, String> {
    if path.contains('#') {
        return Err("an address has no fragment (#…)".to_owned());
    }
    if !path.starts_with('/') {
        return Err(format!("the path {path:?} does not begin with a slash"));
    }
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/?".contains(&byte);
    if let Some(illegal) = path.chars().find(|c| !c.is_ascii() || !is_legal(*c as u8)) {
        return Err(format!(
            "{illegal:?} cannot be in a path; write each of its bytes as % and two digits, such as %20 for a space"
        ));
    }
    let escaped = path.split('%').skip(1);
    let is_escape = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    match escaped.into_iter().all(is_escape) {
        true => Ok(path.to_owned()),
        false => Err("each % in a path must be followed by two hexadecimal digits, such as %20".to_owned()),
    }
}

/// A host and a port. Without a scheme, which is given with its default, the port is needed.
pub(super) fn host_port(text: &str, scheme: Option<(&str, u16)>) -> Result<HostPort, String> {
    let prefix = scheme.map_or_else(String::new, |(scheme, _)| format!("{scheme}://"));
    let usual = scheme.map_or(TCP_PORT, |(_, port)| port);
    if let Some((_, host)) = text.rsplit_once('@') {
        return Err(format!("an address names no user; such as {prefix}{host}"));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(inside) => {
            let (ip, port) = inside
                .split_once(']')
                .ok_or_else(|| format!("the bracket is not closed; such as {prefix}[::1]:{usual}"))?;
            let host = ip
                .parse::<Ipv6Addr>()
                .map_err(|_| format!("{ip:?} in the brackets is not an IPv6 address; such as [::1]"))?;
            (host.to_string(), port)
        }
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            if port.matches(':').count() > 1 {
                return Err(without_brackets(text, &prefix, usual));
            }
            (name(host)?, port)
        }
    };
    let port = match (port.strip_prefix(':'), scheme) {
        (Some(port), _) => port_number(port)?,
        (None, _) if !port.is_empty() => {
            return Err(format!(
                "{port:?} after the bracket is not a port; such as {prefix}[{host}]:{usual}"
            ));
        }
        (None, Some((_, usual))) => usual,
        (None, None) => {
            let place = HostPort { host, port: usual };
            return Err(format!("the port is missing; such as {place}, or tim://{place}"));
        }
    };
    Ok(HostPort { host, port })
}

/// What is wrong with a text with several colons and no brackets.
fn without_brackets(text: &str, prefix: &str, usual: u16) -> String {
    let with_port = text.rsplit_once(':').and_then(|(ip, port)| {
        let ip = ip.parse::<Ipv6Addr>().ok()?;
        Some((ip, port.parse::<u16>().ok()?))
    });
    let form = match (with_port, text.parse::<Ipv6Addr>()) {
        // `::1:7878` is both: a port that looks like one decides.
        (Some((ip, port)), _) if port > 999 => format!("{prefix}[{ip}]:{port}"),
        (_, Ok(ip)) => format!("{prefix}[{ip}]:{usual}"),
        (Some((ip, port)), Err(_)) => format!("{prefix}[{ip}]:{port}"),
        (None, Err(_)) => {
            return format!(
                "there is more than one colon; such as {prefix}HOST:{usual}, or {prefix}[::1]:{usual}"
            );
        }
    };
    format!("an IPv6 address needs brackets; such as {form}")
}

fn port_number(text: &str) -> Result<u16, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|_| is_number);
    port.ok_or_else(|| match text {
        "" => "the port after the colon is missing".to_owned(),
        _ => format!("the port {text:?} is not a number from 0 to 65535"),
    })
}

/// A name of a host or an IPv4 address, in lower case.
pub(super) fn name(host: &str) -> Result<String, String> {
    if host.is_empty() {
        return Err(
            "the host is missing; such as localhost, or 0.0.0.0 to listen at all addresses".to_owned(),
        );
    }
    if host == "*" {
        return Err("\"*\" is not a host; 0.0.0.0 or [::] stands for all addresses".to_owned());
    }
    if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        let ip = host.parse::<Ipv4Addr>();
        return ip
            .map(|ip| ip.to_string())
            .map_err(|_| format!("{host:?} is not an IPv4 address"));
    }
    if !host.is_ascii() {
        return Err(format!(
            "the host {host:?} is not in its ASCII form, which begins with xn--"
        ));
    }
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if let Some(illegal) = host.chars().find(|c| *c != '.' && !is_legal(*c as u8)) {
        return Err(format!("{illegal:?} cannot be in the name of a host"));
    }
    let labels = host.strip_suffix('.').unwrap_or(host).split('.');
    let is_label = |label: &str| (1..=MAX_LABEL).contains(&label.len()) && !label.starts_with('-');
    if host.len() > MAX_NAME || !labels.into_iter().all(is_label) {
        return Err(format!(
            "the host is not a valid name: each part between dots has 1 to {MAX_LABEL} characters, the whole at most {MAX_NAME}"
        ));
    }
    Ok(host.to_ascii_lowercase())
}

/// The path of a Unix socket. `unix:///path` is the same as `unix:/path`.
pub(super) fn unix_path(path: &str) -> Result<String, String> {
    let inside = path.trim_start_matches('/');
    if inside.len() == path.len() && !path.is_empty() {
        return Err(format!(
            "the path {path:?} is not absolute; such as unix:/run/{path}"
        ));
    }
    if inside.is_empty() || inside.ends_with('/') {
        return Err("the name of the socket is missing; such as unix:/run/tim.sock".to_owned());
    }
    no_control_characters(inside)?;
    Ok(format!("/{inside}"))
}

fn serial_port(rest: &str) -> Result<SerialAddress, String> {
    let (device, query) = match rest.split_once('?') {
        Some((device, query)) => (device, Some(query)),
        None => (rest, None),
    };
    let baud = match query.map(|query| query.split_once('=')) {
        None => None,
        Some(Some(("baud", speed))) => Some(
            speed
                .parse()
                .ok()
                .filter(|_| speed.bytes().all(|byte| byte.is_ascii_digit()))
                .ok_or_else(|| format!("the speed {speed:?} is not a baud rate; such as baud=9600"))?,
        ),
        Some(_) => {
            return Err(format!(
                "{:?} is not a setting of a serial port; such as ?baud=9600",
                query.unwrap_or_default()
            ));
        }
    };
    serial(device, baud)
}

/// A device and its speed.
pub(super) fn serial(device: &str, baud: Option<u32>) -> Result<SerialAddress, String> {
    // `serial:///dev/ttyS0` is the same as `serial:/dev/ttyS0`.
    let device = match device.trim_start_matches('/') {
        inside if inside.len() == device.len() => device.to_owned(),
        inside => format!("/{inside}"),
    };
    if device.is_empty() || device.ends_with('/') {
        return Err("the device is missing; such as serial:/dev/ttyUSB0".to_owned());
    }
    if device.contains('?') {
        return Err("a device with a question mark in its name cannot be written as an address".to_owned());
    }
    no_control_characters(&device)?;
    match baud {
        Some(0) => Err("the speed is 0".to_owned()),
        _ => Ok(SerialAddress { device, baud }),
    }
}

fn no_control_characters(text: &str) -> Result<(), String> {
    match text.chars().find(|c| c.is_control()) {
        Some(illegal) => Err(format!("{illegal:?} cannot be in it")),
        None => Ok(()),
    }
}
