//! tim on an STM32F407, with embassy: says when the button is pressed, over a serial line to the hub. With the feature `tls` the serial
//! port leads to a modem that has connected to the hub and passes bytes on, and TLS protects them.
//!
//! The port is USART2, PA2 (TX) and PA3 (RX), at 115,200 baud; the button is PA0, as on the Discovery board.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use embassy_executor::Spawner;
use embassy_stm32::exti::{self, ExtiInput};
use embassy_stm32::gpio::Pull;
use embassy_stm32::mode::Async;
use embassy_stm32::rcc;
use embassy_stm32::rng::{self, Rng};
use embassy_stm32::usart::{self, BufferedUart};
use embassy_stm32::{Config, bind_interrupts, interrupt, peripherals};
use embassy_time::Timer;
use panic_halt as _;
use static_cell::StaticCell;
use tim_transport_embedded::proto::UserId;
use tim_transport_embedded::{Client, ClientConfig, Device, EmbassyClock, Error, Events, Resources};
#[cfg(not(feature = "tls"))]
use tim_transport_embedded::{Framing, SerialPort};

#[cfg(feature = "tls")]
mod modem;

bind_interrupts!(struct Interrupts {
    USART2 => usart::BufferedInterruptHandler<peripherals::USART2>;
    EXTI0 => exti::InterruptHandler<interrupt::typelevel::EXTI0>;
    RNG => rng::InterruptHandler<peripherals::RNG>;
});

const fn user(name: &str) -> UserId {
    match UserId::new(name) {
        Ok(user) => user,
        Err(_) => panic!("no user id"),
    }
}

const BOARD: UserId = user("board-1");
const DESK: UserId = user("desk");
/// What `tim sig make --user board-1` prints.
const USER_SIG: &str = match option_env!("TIM_BOARD_SIG") {
    Some(user_sig) => user_sig,
    None => "",
};

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    static BUFFERS: StaticCell<([u8; 256], [u8; 256])> = StaticCell::new();
    static RESOURCES: StaticCell<Resources<512, 512, 512>> = StaticCell::new();
    static DEVICE: StaticCell<Device<'static, EmbassyClock>> = StaticCell::new();

    let chip = embassy_stm32::init(clocks());
    let (sent, received) = BUFFERS.init(([0; 256], [0; 256]));
    let port = BufferedUart::new(
        chip.USART2,
        chip.PA3,
        chip.PA2,
        sent,
        received,
        Interrupts,
        usart::Config::default(),
    );
    let port = port.expect("a speed that the UART has");
    let mut button = ExtiInput::new(chip.PA0, chip.EXTI0, Pull::Down, Interrupts);
    let mut random = Rng::new(chip.RNG, Interrupts);

    let mut config = ClientConfig::new(1_400_000_000, BOARD, 1);
    config.window = 2;
    config.compact = true; // fewer bytes on a slow line
    let mut seed = [0; 8];
    let _ = random.async_fill_bytes(&mut seed).await; // an error of the generator repeats itself in what it is used for
    let seed = u64::from_le_bytes(seed);
    let (tx, rx) = port.split();

    #[cfg(not(feature = "tls"))]
    let transport = {
        config.framing = Framing::Serial;
        SerialPort::new(rx, tx)
    };
    #[cfg(feature = "tls")]
    let transport = {
        static RECORDS: StaticCell<([u8; 1_200], [u8; 768])> = StaticCell::new();
        let (received, sent) = RECORDS.init(([0; 1_200], [0; 768]));
        tim_device_tls::TlsTransport::new(modem::Modem::new(rx, tx), random, &modem::PINS, received, sent)
    };

    let resources = RESOURCES.init(Resources::new());
    let device = DEVICE.init(Device::new(config, USER_SIG, resources, seed, EmbassyClock));
    let (client, runner) = device.split(transport);
    let stay = async |mut events: Events<'_>| {
        loop {
            let _ = say_when_pressed(client, &mut events, &mut button).await;
            // The hub has ended the session: the UserSig is void, perhaps for as long as the hub's clock is wrong.
            events.until(Timer::after_secs(30), |_| {}).await;
        }
    };
    runner.run(stay).await
}

/// Returns when the hub has ended the session.
async fn say_when_pressed(
    client: Client<'_>,
    events: &mut Events<'_>,
    button: &mut ExtiInput<'_, Async>,
) -> Result<(), Error> {
    events.until(client.login(), |_| {}).await?;
    loop {
        events.until(client.wait_until_ready(), |_| {}).await?;
        events.until(button.wait_for_rising_edge(), |_| {}).await;
        let mut message = client.create_text_message(DESK, "Somebody is at the door.")?;
        // It is repeated by the session; what fails here has failed for good, or when nothing got through for a long time.
        let _ = events.until(client.send_message(&mut message), |_| {}).await;
    }
}

/// The generator of random numbers has 48 MHz: from the internal oscillator of 16 MHz, by the PLL.
fn clocks() -> Config {
    let mut config = Config::default();
    config.rcc.pll_src = rcc::PllSource::HSI;
    config.rcc.pll = Some(rcc::Pll {
        prediv: rcc::PllPreDiv::DIV8,
        mul: rcc::PllMul::MUL168,
        divp: Some(rcc::PllPDiv::DIV2),
        divq: Some(rcc::PllQDiv::DIV7),
        divr: None,
    });
    config.rcc.sys = rcc::Sysclk::PLL1_P;
    config.rcc.ahb_pre = rcc::AHBPrescaler::DIV1;
    config.rcc.apb1_pre = rcc::APBPrescaler::DIV4;
    config.rcc.apb2_pre = rcc::APBPrescaler::DIV2;
    config
}
