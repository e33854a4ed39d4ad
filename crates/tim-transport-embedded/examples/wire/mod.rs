//! Stands for a board's network on this host: two stacks of embassy-net on a simulated wire. One is the board's, the other a
//! gateway that forwards TCP connections to the hub.

use embassy_futures::join::join;
use embassy_futures::select::{select, select4};
use embassy_net::tcp::TcpSocket;
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Stack, StackResources, StaticConfigV4};
use embassy_net_driver_channel::driver::{HardwareAddress, LinkState};
use embassy_net_driver_channel::{self as channel, RxRunner, State, TxRunner};
use embedded_io_async::{Read, Write};

use super::host;

const MTU: usize = 1500;

/// Runs `board` with the stack of a board that reaches the hub at 10.0.0.1:7878.
pub(crate) async fn with_network<T>(hub: &str, seed: u64, board: impl AsyncFnOnce(Stack<'_>) -> T) -> T {
    let (mut left, mut right) = (State::<MTU, 4, 4>::new(), State::<MTU, 4, 4>::new());
    let (mut runner_a, device_a) = channel::new(&mut left, HardwareAddress::Ip);
    let (mut runner_b, device_b) = channel::new(&mut right, HardwareAddress::Ip);
    runner_a.set_link_state(LinkState::Up);
    runner_b.set_link_state(LinkState::Up);
    let (_, mut rx_a, mut tx_a) = runner_a.borrow_split();
    let (_, mut rx_b, mut tx_b) = runner_b.borrow_split();

    let mut resources = (StackResources::<2>::new(), StackResources::<2>::new());
    let (stack_a, mut net_a) = embassy_net::new(device_a, address(2), &mut resources.0, seed);
    let (stack_b, mut net_b) = embassy_net::new(device_b, address(1), &mut resources.1, !seed);
    let network = select4(
        net_a.run(),
        net_b.run(),
        join(carry(&mut tx_a, &mut rx_b), carry(&mut tx_b, &mut rx_a)),
        forward(stack_b, hub),
    );
    let board = board(stack_a);
    match select(network, board).await {
        embassy_futures::select::Either::First(_) => unreachable!("a network runs for ever"),
        embassy_futures::select::Either::Second(result) => result,
    }
}

fn address(host: u8) -> Config {
    Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(Ipv4Address::new(10, 0, 0, host), 24),
        gateway: None,
        dns_servers: Default::default(),
    })
}

/// Carries packets in one direction.
async fn carry(from: &mut TxRunner<'_, MTU>, to: &mut RxRunner<'_, MTU>) {
    loop {
        let packet = from.tx_buf().await;
        let buffer = to.rx_buf().await;
        let len = packet.len();
        buffer[..len].copy_from_slice(packet);
        to.rx_done(len);
        from.tx_done();
    }
}

/// Accepts connections, one at a time, and forwards them to the hub.
async fn forward(stack: Stack<'_>, hub: &str) {
    let (mut rx, mut tx) = ([0; 4096], [0; 4096]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
        if socket.accept(7878).await.is_ok()
            && let Ok((from_hub, to_hub)) = host::open(hub)
        {
            let (from_board, to_board) = socket.split();
            select(copy(from_board, to_hub), copy(from_hub, to_board)).await;
        }
        socket.abort();
    }
}

/// Copies bytes until either side ends.
async fn copy(mut from: impl Read, mut to: impl Write) {
    let mut buffer = [0; 1024];
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..len]).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
}
